;; SPDX-License-Identifier: GPL-2.0-only
;; What a planner has in memory: structures, conses, hash tables, floats, compiled functions.
(defstruct node name (edges '()) (weight 0.0d0) (position (vector 0 0)))
(defvar *state* (sb-ext:seed-random-state 24))
(defvar *nodes* (coerce (loop for n below 60000 collect
  (make-node :name (format nil "node ~a of ~r" n (mod n 50)) :weight (random 1d0 *state*)
             :position (vector (random 1000 *state*) (random 1000 *state*)))) 'vector))
(loop for node across *nodes* do
  (dotimes (k 4) (push (cons (aref *nodes* (random 60000 *state*)) (random 100 *state*)) (node-edges node))))
(defvar *by-name* (make-hash-table :test 'equal))
(loop for node across *nodes* do (setf (gethash (node-name node) *by-name*) node))
(defvar *plans* (loop for n below 20000 collect
  (list :plan n :cost (random 9d0 *state*) :steps (loop repeat 8 collect (random 60000 *state*)))))
(dotimes (n 150) (eval `(defun ,(intern (format nil "RULE-~a" n)) (x y) (if (> x ,n) (list x y ,(random 99 *state*)) (rule-0 y (+ x ,n))))))
(sleep 100)
