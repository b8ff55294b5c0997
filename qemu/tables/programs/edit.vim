" SPDX-License-Identifier: GPL-2.0-only
" An editor that has been open for a while: many buffers, changes to undo, syntax, dictionaries of a plugin.
set hidden undolevels=1000
let g:tags = {}
let s:n = 0
for s:file in split(glob('/usr/include/**/*.h'), "\n")[:400]
  execute 'silent! edit ' . fnameescape(s:file)
  silent! %s/int/long/g
  silent! %s/\s\+$//
  silent! g/define/move 0
  for s:word in split(join(getline(1, 200)), '\W\+')
    if !has_key(g:tags, s:word) | let g:tags[s:word] = [] | endif
    call add(g:tags[s:word], {'file': s:file, 'nr': s:n})
    let s:n += 1
  endfor
endfor
sleep 100
