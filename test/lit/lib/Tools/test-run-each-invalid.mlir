// Rows that cannot be run are said, since what passes refuse is not.
// RUN: echo 'no-such-pass' > %t.rows
// RUN: not tessera-opt %s --test-run-each=file=%t.rows 2>&1 | FileCheck %s
// RUN: not tessera-opt %s --test-run-each=file=%t.none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: echo 'canonicalize' > %t.right
// RUN: tessera-opt %s --test-run-each=file=%t.right

// CHECK: row 'no-such-pass' of the file does not parse
// NONE: cannot read the file of rows
module {
}
