// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Dispatch.h"

static int makeChildren(Node *node, PyObject *treedef) {
  PyObject *children = PyObject_GetAttrString(treedef, "children");
  if (!children)
    return -1;
  Py_ssize_t count = PyTuple_Size(children);
  if (count < 0) {
    Py_DECREF(children);
    return -1;
  }
  node->children = PyMem_Calloc(count ? count : 1, sizeof(Node));
  int status = node->children ? 0 : -1;
  if (status)
    PyErr_NoMemory();
  for (Py_ssize_t i = 0; i < count && !status; ++i) {
    node->count = i + 1;
    status = makeNode(&node->children[i], PyTuple_GetItem(children, i));
  }
  Py_DECREF(children);
  return status;
}

/// TreeDef.form is the number of its NodeKind.
int makeNode(Node *node, PyObject *treedef) {
  PyObject *form = PyObject_GetAttrString(treedef, "form");
  if (!form)
    return -1;
  long kind = PyLong_AsLong(form);
  Py_DECREF(form);
  if (kind < Leaf || kind > Other) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_ValueError, "a TreeDef of unknown form");
    return -1;
  }
  node->kind = (NodeKind)kind;
  if (kind == Leaf || kind == None)
    return 0;
  Py_INCREF(treedef);
  node->treedef = treedef;
  node->keys = PyObject_GetAttrString(treedef, "keys");
  if (!node->keys || makeChildren(node, treedef))
    return -1;
  if (node->kind != Dict)
    return 0;
  // A copy has room for all keys from the start.
  node->form = PyDict_New();
  for (Py_ssize_t i = 0; node->form && i < node->count; ++i)
    if (PyDict_SetItem(node->form, PyTuple_GetItem(node->keys, i), Py_None))
      return -1;
  return node->form ? 0 : -1;
}

void clearNode(Node *node) {
  for (Py_ssize_t i = 0; i < node->count; ++i)
    clearNode(&node->children[i]);
  PyMem_Free(node->children);
  Py_CLEAR(node->treedef);
  Py_CLEAR(node->keys);
  Py_CLEAR(node->form);
  node->children = NULL;
  node->count = 0;
}

/// Nodes whose children Python finds: named tuples, dataclasses and the like.
static int flattenOther(const Node *node, PyObject *tree, PyObject *children,
                        PyObject **leaves, Py_ssize_t *count,
                        Py_ssize_t limit) {
  PyObject *found = PyObject_CallFunctionObjArgs(children, tree, NULL);
  if (!found)
    return -1;
  PyObject *kind = PyObject_GetAttrString(node->treedef, "kind");
  int same = !kind ? -1 : found == Py_None ? 0 : 1;
  if (same == 1)
    same = kind == PyTuple_GetItem(found, 0) &&
           PyObject_RichCompareBool(node->keys, PyTuple_GetItem(found, 1),
                                    Py_EQ) == 1;
  PyObject *values = same == 1 ? PyTuple_GetItem(found, 2) : NULL;
  if (same == 1 && PySequence_Size(values) != node->count)
    same = 0;
  for (Py_ssize_t i = 0; i < node->count && same == 1; ++i) {
    PyObject *value = PySequence_GetItem(values, i);
    same = value ? flattenAs(&node->children[i], value, children, leaves, count,
                             limit)
                 : -1;
    Py_XDECREF(value);
  }
  Py_XDECREF(kind);
  Py_DECREF(found);
  return same;
}

int flattenAs(const Node *node, PyObject *tree, PyObject *children,
              PyObject **leaves, Py_ssize_t *count, Py_ssize_t limit) {
  switch (node->kind) {
  case Leaf:
    if (*count == limit || tree == Py_None || PyDict_Check(tree) ||
        PyList_Check(tree) || PyTuple_Check(tree))
      return 0;
    Py_INCREF(tree);
    leaves[(*count)++] = tree;
    return 1;
  case None:
    return tree == Py_None;
  case Dict:
    if (!PyDict_CheckExact(tree) || PyDict_Size(tree) != node->count)
      return 0;
    for (Py_ssize_t i = 0; i < node->count; ++i) {
      PyObject *value =
          PyDict_GetItemWithError(tree, PyTuple_GetItem(node->keys, i));
      if (!value)
        return PyErr_Occurred() ? -1 : 0;
      int same =
          flattenAs(&node->children[i], value, children, leaves, count, limit);
      if (same != 1)
        return same;
    }
    return 1;
  case List:
  case Tuple: {
    int isList = node->kind == List;
    if (isList ? !PyList_CheckExact(tree) || PyList_Size(tree) != node->count
               : !PyTuple_CheckExact(tree) || PyTuple_Size(tree) != node->count)
      return 0;
    for (Py_ssize_t i = 0; i < node->count; ++i) {
      PyObject *value =
          isList ? PyList_GetItem(tree, i) : PyTuple_GetItem(tree, i);
      if (!value)
        return -1;
      int same =
          flattenAs(&node->children[i], value, children, leaves, count, limit);
      if (same != 1)
        return same;
    }
    return 1;
  }
  case Other:
    return flattenOther(node, tree, children, leaves, count, limit);
  }
  return 0;
}

PyObject *unflattenAs(const Node *node, PyObject *build, PyObject **leaves,
                      Py_ssize_t *next) {
  if (node->kind == Leaf) {
    PyObject *leaf = leaves[*next];
    leaves[(*next)++] = NULL;
    return leaf;
  }
  if (node->kind == None) {
    Py_INCREF(Py_None);
    return Py_None;
  }
  if (node->kind == Dict) {
    PyObject *dict = PyDict_Copy(node->form);
    for (Py_ssize_t i = 0; dict && i < node->count; ++i) {
      PyObject *value = unflattenAs(&node->children[i], build, leaves, next);
      if (!value || PyDict_SetItem(dict, PyTuple_GetItem(node->keys, i), value))
        Py_CLEAR(dict);
      Py_XDECREF(value);
    }
    return dict;
  }
  PyObject *values =
      node->kind == Tuple ? PyTuple_New(node->count) : PyList_New(node->count);
  for (Py_ssize_t i = 0; values && i < node->count; ++i) {
    PyObject *value = unflattenAs(&node->children[i], build, leaves, next);
    if (!value || (node->kind == Tuple ? PyTuple_SetItem(values, i, value)
                                       : PyList_SetItem(values, i, value)))
      Py_CLEAR(values);
  }
  if (!values || node->kind != Other)
    return values;
  PyObject *result =
      PyObject_CallFunctionObjArgs(build, node->treedef, values, NULL);
  Py_DECREF(values);
  return result;
}
