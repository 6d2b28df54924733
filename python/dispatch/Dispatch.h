// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The Python extension that makes calls of compiled functions cheap, on the
// stable ABI of Python 3.10. docs/decisions/0002 says why.
#ifndef TESSERA_PYTHON_DISPATCH_DISPATCH_H
#define TESSERA_PYTHON_DISPATCH_DISPATCH_H

#include "tessera-rt/tessera_rt.h"

#include <Python.h>
#include <structmember.h>

/// A tensor on the devices, base of runtime.Placed.
typedef struct {
  PyObject_HEAD TesseraRtPlaced
      *handle; ///< Owned; NULL before and after its life.
  const void *placement;
  PyObject *device; ///< A str.
  PyObject *keep;   ///< What the handle's memory belongs to; or NULL.
} Placed;

/// The fields of ts.Array. They hold no reference back to the array, so that it
/// needs no garbage collection, which a thousand new objects a call would
/// start.
typedef struct {
  PyObject_HEAD PyObject *kind, *placed, *host, *view, *others, *gone, *given;
  PyObject *weakReferences;
  Py_ssize_t goneIndex; ///< Which of the arguments that `gone` lists it was.
} Tensor;

/// The entries of tesseraRt that are called here; see tessera_rt.h.
typedef struct {
  int (*execute)(TesseraRtExecutable *, const TesseraRtInput *, const uint8_t *,
                 int64_t, TesseraRtPlaced **, int64_t);
  void (*release)(TesseraRtPlaced *);
  const void *(*placement)(const TesseraRtPlaced *);
  int (*isConsumed)(const TesseraRtPlaced *);
} Runtime;

extern Runtime runtime;
extern PyTypeObject *placedType, *tensorType; ///< The classes of the package.

/// A structure of arguments or results, ready to be walked.
typedef enum { Leaf, None, Dict, List, Tuple, Other } NodeKind;
typedef struct Node {
  NodeKind kind;
  PyObject *treedef; ///< Of Other nodes: the TreeDef.
  PyObject *keys;    ///< Of Dict nodes: a tuple.
  PyObject *form;    ///< Of Dict nodes: a dict of the keys, to be copied.
  Py_ssize_t count;
  struct Node *children;
} Node;

/// Fills `node` from a tree.TreeDef; -1 with an exception where that fails.
int makeNode(Node *node, PyObject *treedef);
void clearNode(Node *node);

/// Appends new references to the leaves of `tree`. 1 if it has the structure, 0
/// if not, -1 with an exception. `children` is tree._children.
int flattenAs(const Node *node, PyObject *tree, PyObject *children,
              PyObject **leaves, Py_ssize_t *count, Py_ssize_t limit);
/// A new tree of the leaves, from *next on, whose references it takes. `build`
/// makes Other nodes: tree.build_node.
PyObject *unflattenAs(const Node *node, PyObject *build, PyObject **leaves,
                      Py_ssize_t *next);

extern PyType_Spec placedSpec, tensorSpec, callSpec;

#endif // TESSERA_PYTHON_DISPATCH_DISPATCH_H
