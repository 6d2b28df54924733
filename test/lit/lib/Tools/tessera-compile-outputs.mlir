// Results are written whole or not at all, and where they cannot be is found
// before compiling.
// RUN: rm -rf %t && mkdir -p %t/folder
// RUN: not tessera-compile %s -o %t/folder 2>&1 | FileCheck %s --check-prefix=FOLDER
// FOLDER: cannot write '{{.*}}/folder': it is a folder; name a file in it
// RUN: not tessera-compile %s -o %t/absent/f 2>&1 | FileCheck %s --check-prefix=ABSENT
// RUN: not tessera-compile %s --report=%t/absent/f -o %t/f 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: cannot write '{{.*}}/absent/f': folder '{{.*}}/absent' does not exist
// RUN: not test -e %t/f
// RUN: not tessera-compile %s --emit=local --shapes=B=4 2>&1 | FileCheck %s --check-prefix=SHAPES
// SHAPES: --shapes is for module.py:function
// RUN: not tessera-compile %s.py:f --entry=g 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: --entry is for .mlir files

// What is no program is named for what it is.
// RUN: not tessera-compile %s.py -o %t/f 2>&1 | FileCheck %s --check-prefix=PYTHON
// PYTHON: expected a function of '[[FILE:.*.py]]', one that ts.jit decorates; name it as '[[FILE]]:function'
// RUN: tessera-compile %s -o %t/artefact
// RUN: not tessera-compile %t/artefact -o %t/f 2>&1 | FileCheck %s --check-prefix=ARTEFACT
// ARTEFACT: /artefact' is an artefact: it is compiled, and tessera-run runs it
// RUN: not test -e %t/f && rm %t/artefact

// A failed compilation changes nothing.
// RUN: echo old > %t/kept && cp %t/kept %t/report
// RUN: not tessera-compile %s --emit=plan --entry=absent -o %t/kept --report=%t/report
// RUN: grep old %t/kept && grep old %t/report

// Links are followed and devices written to; no temporary file is left.
// RUN: ln -s kept %t/link
// RUN: tessera-compile %s --emit=local -o %t/link && grep tessera.neg %t/kept && test -h %t/link
// RUN: tessera-compile %s --emit=local -o /dev/null && test -c /dev/null
// RUN: not tessera-compile %s --emit=local -o /dev/full 2>&1 | FileCheck %s --check-prefix=FULL
// FULL: cannot write '/dev/full': No space left on device
// RUN: ls -A %t | FileCheck %s --check-prefix=LEFT
// LEFT-NOT: .tmp

dist.mesh @mesh <[tp = 2]>
func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.neg %x : !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
