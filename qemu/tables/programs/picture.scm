; SPDX-License-Identifier: GPL-2.0-only
; A picture with layers, which is left open.
(let* ((image (car (gimp-image-new 1600 1200 0))) (n 0))
  (while (< n 3)
    (let ((layer (car (gimp-layer-new image "layer" 1600 1200 1 80 28))))
      (gimp-image-insert-layer image layer 0 0)
      (gimp-context-set-foreground (list (* 60 n) 90 200))
      (gimp-drawable-edit-gradient-fill layer n 0 0 1 3 0.2 1 100 100 1200 900)
      (set! n (+ n 1)))))
(gimp-message "ready")
