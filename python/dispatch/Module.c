// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The module tessera._native._dispatch and its two base classes.
#include "Dispatch.h"

#include <stddef.h>

Runtime runtime;
PyTypeObject *placedType, *tensorType;

static void freeObject(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF(type);
}

static void deallocPlaced(PyObject *self) {
  Placed *placed = (Placed *)self;
  if (placed->handle && runtime.release)
    runtime.release(placed->handle);
  Py_CLEAR(placed->device);
  Py_CLEAR(placed->keep);
  freeObject(self);
}

static PyObject *getHandle(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromVoidPtr(((Placed *)self)->handle);
}

static PyObject *getPlacement(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromVoidPtr((void *)((Placed *)self)->placement);
}

static int initPlaced(PyObject *self, PyObject *args, PyObject *named) {
  static char *names[] = {"handle", "device", "keep", NULL};
  PyObject *handle, *device, *keep = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, named, "OO|O", names, &handle, &device,
                                   &keep))
    return -1;
  Placed *placed = (Placed *)self;
  void *address = PyLong_AsVoidPtr(handle);
  if (PyErr_Occurred())
    return -1;
  if (placed->handle || !runtime.placement) {
    PyErr_SetString(PyExc_RuntimeError, "initialised twice, or too early");
    return -1;
  }
  placed->handle = address;
  placed->placement = runtime.placement(address);
  Py_INCREF(device);
  placed->device = device;
  Py_XINCREF(keep);
  placed->keep = keep;
  return 0;
}

static PyMemberDef placedMembers[] = {
    {"device", T_OBJECT, offsetof(Placed, device), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyGetSetDef placedGetters[] = {
    {"handle", getHandle, NULL, NULL, NULL},
    {"placement", getPlacement, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot placedSlots[] = {{Py_tp_dealloc, deallocPlaced},
                                    {Py_tp_init, initPlaced},
                                    {Py_tp_members, placedMembers},
                                    {Py_tp_getset, placedGetters},
                                    {0, NULL}};
PyType_Spec placedSpec = {"tessera._native._dispatch.Placed", sizeof(Placed), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                          placedSlots};

static void deallocTensor(PyObject *self) {
  Tensor *tensor = (Tensor *)self;
  if (tensor->weakReferences)
    PyObject_ClearWeakRefs(self);
  Py_CLEAR(tensor->kind);
  Py_CLEAR(tensor->placed);
  Py_CLEAR(tensor->host);
  Py_CLEAR(tensor->view);
  Py_CLEAR(tensor->others);
  Py_CLEAR(tensor->gone);
  Py_CLEAR(tensor->given);
  freeObject(self);
}

static PyMemberDef tensorMembers[] = {
    {"kind", T_OBJECT, offsetof(Tensor, kind), 0, NULL},
    {"_placed", T_OBJECT, offsetof(Tensor, placed), 0, NULL},
    {"_host", T_OBJECT, offsetof(Tensor, host), 0, NULL},
    {"_view", T_OBJECT, offsetof(Tensor, view), 0, NULL},
    {"_others", T_OBJECT, offsetof(Tensor, others), 0, NULL},
    {"_gone", T_OBJECT, offsetof(Tensor, gone), 0, NULL},
    {"_given", T_OBJECT, offsetof(Tensor, given), 0, NULL},
    {"_gone_index", T_PYSSIZET, offsetof(Tensor, goneIndex), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Tensor, weakReferences),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot tensorSlots[] = {
    {Py_tp_dealloc, deallocTensor}, {Py_tp_members, tensorMembers}, {0, NULL}};
PyType_Spec tensorSpec = {"tessera._native._dispatch.Tensor", sizeof(Tensor), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                          tensorSlots};

static void *addressOf(PyObject *number) {
  void *address = PyLong_AsVoidPtr(number);
  if (!address && !PyErr_Occurred())
    PyErr_SetString(PyExc_ValueError, "a function's address is 0");
  return address;
}

static PyObject *useRuntime(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *execute, *release, *placement, *isConsumed;
  if (!PyArg_ParseTuple(args, "OOOO", &execute, &release, &placement,
                        &isConsumed))
    return NULL;
  Runtime found;
  *(void **)&found.execute = addressOf(execute);
  *(void **)&found.release = addressOf(release);
  *(void **)&found.placement = addressOf(placement);
  *(void **)&found.isConsumed = addressOf(isConsumed);
  if (PyErr_Occurred())
    return NULL;
  runtime = found;
  Py_RETURN_NONE;
}

static PyObject *useClasses(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *tensor, *placed;
  if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &tensor, &PyType_Type,
                        &placed))
    return NULL;
  Py_INCREF(tensor);
  Py_INCREF(placed);
  tensorType = (PyTypeObject *)tensor;
  placedType = (PyTypeObject *)placed;
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"use_runtime", useRuntime, METH_VARARGS,
     "Addresses of tesseraRtExecute, ReleasePlaced, Placement, IsConsumed."},
    {"use_classes", useClasses, METH_VARARGS,
     "The classes that results are made of: ts.Array and runtime.Placed."},
    {NULL, NULL, 0, NULL}};

static int addType(PyObject *module, const char *name, PyType_Spec *spec) {
  PyObject *type = PyType_FromSpec(spec);
  if (type && !PyModule_AddObject(module, name, type))
    return 0;
  Py_XDECREF(type);
  return -1;
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "_dispatch",
                                        "Calls of compiled functions.",
                                        -1,
                                        functions,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__dispatch(void) {
  PyObject *module = PyModule_Create(&definition);
  if (module && !addType(module, "Placed", &placedSpec) &&
      !addType(module, "Tensor", &tensorSpec) &&
      !addType(module, "Call", &callSpec))
    return module;
  Py_XDECREF(module);
  return NULL;
}
