// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A call of one compiled program, from arguments to results.
#include "Dispatch.h"

#include <string.h>

typedef struct {
  PyObject_HEAD TesseraRtExecutable *executable;
  PyObject *owner; ///< Keeps the executable.
  Node arguments, results;
  Py_ssize_t numLeaves, numInputs, numResults;
  PyObject *kinds, *names, *resultKinds; ///< Tuples.
  const void **placements;               ///< One per leaf.
  uint8_t *donated;                      ///< One per input.
  int hasDonated;
  /// From Python: the address and owner of a leaf that is no array, or its
  /// bytes; an array in the layout of an input; the error of a run that failed;
  /// parts of trees.
  PyObject *prepare, *convert, *fail, *children, *build;
  PyObject *function, *device;
  void *spare; ///< Memory for the work of a call, while none uses it.
} Call;

/// What a call works on; all references are owned.
typedef struct {
  Py_ssize_t count;
  PyObject **leaves, **keep;
  TesseraRtInput *inputs;
  uint8_t *donated;
  TesseraRtPlaced **handles;
  PyObject **results;
} Work;

static int makeWork(Call *call, Work *work) {
  size_t inputs = call->numInputs + 1, results = call->numResults + 1;
  size_t bytes =
      inputs * (2 * sizeof(PyObject *) + sizeof(TesseraRtInput) + 1) +
      results * (sizeof(void *) + sizeof(PyObject *));
  // Large allocations are slow, and make the small ones after them slow.
  char *memory = call->spare ? call->spare : PyMem_Malloc(bytes);
  call->spare = NULL;
  if (!memory) {
    PyErr_NoMemory();
    return -1;
  }
  memset(memory, 0, bytes);
  work->count = 0;
  work->leaves = (PyObject **)memory;
  work->keep = work->leaves + inputs;
  work->inputs = (TesseraRtInput *)(work->keep + inputs);
  work->handles = (TesseraRtPlaced **)(work->inputs + inputs);
  work->results = (PyObject **)(work->handles + results);
  work->donated = (uint8_t *)(work->results + results);
  return 0;
}

static void clearWork(Call *call, Work *work) {
  for (Py_ssize_t i = 0; i < work->count; ++i) {
    Py_XDECREF(work->keep[i]);
    Py_DECREF(work->leaves[i]);
  }
  for (Py_ssize_t i = 0; i < call->numResults; ++i) {
    Py_XDECREF(work->results[i]);
    if (work->handles[i])
      runtime.release(work->handles[i]);
  }
  if (call->spare) // That of another thread, or of a call inside this one.
    PyMem_Free(work->leaves);
  else
    call->spare = work->leaves;
}

static int isSet(PyObject *field) { return field && field != Py_None; }

/// Whether NumPy looks at the memory of an array: at more than what the array
/// itself has kept, which is forgotten.
static int isSeen(Tensor *tensor) {
  Py_CLEAR(tensor->host);
  return isSet(tensor->view) && PyWeakref_GetObject(tensor->view) != Py_None;
}

/// Finds the input of a leaf. 1 if it fits, 0 if another path must see to it.
static int bindLeaf(const Call *call, Work *work, Py_ssize_t i) {
  PyObject *leaf = work->leaves[i];
  if (Py_TYPE(leaf) != tensorType) {
    PyObject *index = PyLong_FromSsize_t(i);
    PyObject *found =
        PyObject_CallFunctionObjArgs(call->prepare, index, leaf, NULL);
    Py_XDECREF(index);
    if (!found)
      return -1;
    if (found == Py_None) {
      Py_DECREF(found);
      return 0;
    }
    work->keep[i] = found;
    work->inputs[i].data = PyBytes_Check(found)
                               ? PyBytes_AsString(found)
                               : PyLong_AsVoidPtr(PyTuple_GetItem(found, 0));
    return PyErr_Occurred() ? -1 : 1;
  }
  Tensor *tensor = (Tensor *)leaf;
  if (tensor->kind != PyTuple_GetItem(call->kinds, i) || isSet(tensor->gone))
    return 0;
  PyObject *placed = tensor->placed;
  int fits = isSet(placed) && Py_TYPE(placed) == placedType &&
             ((Placed *)placed)->placement == call->placements[i];
  if (call->donated[i]) {
    if (!fits || isSeen(tensor))
      return 0; // A copy must be made.
    work->donated[i] = 1;
  } else if (!fits) {
    PyObject *index = PyLong_FromSsize_t(i);
    placed = PyObject_CallFunctionObjArgs(call->convert, leaf, index, NULL);
    Py_XDECREF(index);
    if (!placed)
      return -1;
    work->keep[i] = placed;
    if (Py_TYPE(placed) != placedType)
      return 0;
    work->inputs[i].placed = ((Placed *)placed)->handle;
    return 1;
  }
  Py_INCREF(placed);
  work->keep[i] = placed;
  work->inputs[i].placed = ((Placed *)placed)->handle;
  return 1;
}

/// Marks donated arrays, by the same object that says where the call was made,
/// before other threads can run. 0 if one array is given twice, which another
/// path sees to.
static int claim(Work *work, PyObject *gone) {
  for (Py_ssize_t i = 0; i < work->count; ++i) {
    if (!work->donated[i])
      continue;
    Tensor *tensor = (Tensor *)work->leaves[i];
    if (isSet(tensor->gone))
      return 0;
    Py_XDECREF(tensor->gone);
    Py_INCREF(gone);
    tensor->gone = gone;
    tensor->goneIndex = i;
    Py_CLEAR(tensor->placed); // work->keep has it.
  }
  return 1;
}

/// Gives back what a call has claimed and not consumed.
static void unclaim(Work *work, PyObject *gone) {
  for (Py_ssize_t i = 0; i < work->count; ++i) {
    Tensor *tensor = (Tensor *)work->leaves[i];
    if (!work->donated[i] || tensor->gone != gone || tensor->goneIndex != i ||
        runtime.isConsumed(((Placed *)work->keep[i])->handle))
      continue;
    Py_CLEAR(tensor->gone);
    Py_INCREF(work->keep[i]);
    tensor->placed = work->keep[i];
  }
}

/// A new object of one of the package's classes. No cycle runs through either,
/// so the garbage collector need not look at a thousand of them per call.
static PyObject *makeObject(PyTypeObject *type) {
  PyObject *object = PyType_GenericAlloc(type, 0);
  if (object && PyType_GetFlags(type) & Py_TPFLAGS_HAVE_GC)
    PyObject_GC_UnTrack(object);
  return object;
}

static PyObject *makeResult(const Call *call, Work *work, Py_ssize_t i) {
  Placed *placed = (Placed *)makeObject(placedType);
  if (!placed)
    return NULL;
  placed->handle = work->handles[i];
  work->handles[i] = NULL;
  placed->placement = runtime.placement(placed->handle);
  Py_INCREF(call->device);
  placed->device = call->device;
  Tensor *tensor = (Tensor *)makeObject(tensorType);
  if (!tensor) {
    Py_DECREF(placed);
    return NULL;
  }
  tensor->kind = PyTuple_GetItem(call->resultKinds, i);
  Py_INCREF(tensor->kind);
  tensor->placed = (PyObject *)placed;
  return (PyObject *)tensor;
}

static PyObject *runCall(const Call *call, Work *work, PyObject *args,
                         PyObject *place) {
  int fits = flattenAs(&call->arguments, args, call->children, work->leaves,
                       &work->count, call->numLeaves);
  if (fits == 1 && work->count != call->numLeaves)
    fits = 0;
  for (Py_ssize_t i = 0; i < work->count && fits == 1; ++i)
    fits = bindLeaf(call, work, i);
  // (names of arguments, function, place); see Array._why.
  PyObject *gone = PyTuple_Pack(3, call->names, call->function, place);
  if (!gone)
    fits = -1;
  if (fits == 1 && call->hasDonated)
    fits = claim(work, gone);
  if (fits != 1) {
    unclaim(work, gone);
    Py_XDECREF(gone);
    if (fits < 0)
      return NULL;
    Py_INCREF(Py_NotImplemented);
    return Py_NotImplemented;
  }
  int status;
  Py_BEGIN_ALLOW_THREADS status =
      runtime.execute(call->executable, work->inputs, work->donated,
                      call->numInputs, work->handles, call->numResults);
  Py_END_ALLOW_THREADS if (status) {
    // The error's text belongs to this thread, and to its last failed call.
    PyObject *none = PyObject_CallFunctionObjArgs(call->fail, NULL);
    Py_XDECREF(none);
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    unclaim(work, gone);
    Py_DECREF(gone);
    PyErr_Restore(type, value, trace);
    return NULL;
  }
  Py_DECREF(gone);
  for (Py_ssize_t i = 0; i < call->numResults; ++i)
    if (!(work->results[i] = makeResult(call, work, i)))
      return NULL;
  Py_ssize_t next = 0;
  return unflattenAs(&call->results, call->build, work->results, &next);
}

static PyObject *callCall(PyObject *self, PyObject *const *given,
                          Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "call takes (args, kwargs) and a place");
    return NULL;
  }
  Call *call = (Call *)self;
  Work work;
  if (makeWork(call, &work))
    return NULL;
  PyObject *result = runCall(call, &work, given[0], given[1]);
  clearWork(call, &work);
  return result;
}

static void deallocCall(PyObject *self) {
  Call *call = (Call *)self;
  clearNode(&call->arguments);
  clearNode(&call->results);
  PyMem_Free(call->spare);
  PyMem_Free(call->placements);
  PyMem_Free(call->donated);
  PyObject **fields[] = {&call->owner,       &call->kinds,    &call->names,
                         &call->resultKinds, &call->prepare,  &call->convert,
                         &call->fail,        &call->children, &call->build,
                         &call->function,    &call->device};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
    Py_CLEAR(*fields[i]);
  PyTypeObject *type = Py_TYPE(self);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF(type);
}

static int readInputs(Call *call, PyObject *placements, PyObject *donated) {
  call->placements = PyMem_Calloc(call->numInputs + 1, sizeof(void *));
  call->donated = PyMem_Calloc(call->numInputs + 1, 1);
  if (!call->placements || !call->donated) {
    PyErr_NoMemory();
    return -1;
  }
  for (Py_ssize_t i = 0; i < call->numLeaves; ++i) {
    call->placements[i] = PyLong_AsVoidPtr(PyTuple_GetItem(placements, i));
    int flag = PyObject_IsTrue(PyTuple_GetItem(donated, i));
    if (PyErr_Occurred() || flag < 0)
      return -1;
    call->donated[i] = (uint8_t)flag;
    call->hasDonated |= flag;
  }
  return 0;
}

static PyObject *newCall(PyTypeObject *type, PyObject *args, PyObject *named) {
  static char *names[] = {
      "owner", "executable", "in_tree", "out_tree", "inputs",  "kinds",
      "names", "placements", "donated", "results",  "prepare", "convert",
      "fail",  "children",   "build",   "function", "device",  NULL};
  PyObject *owner, *executable, *inTree, *outTree, *kinds, *leafNames,
      *placements, *donated, *results, *prepare, *convert, *fail, *children,
      *build, *function, *device;
  Py_ssize_t inputs;
  if (!PyArg_ParseTupleAndKeywords(
          args, named, "OOOOnO!O!O!O!O!OOOOOOO", names, &owner, &executable,
          &inTree, &outTree, &inputs, &PyTuple_Type, &kinds, &PyTuple_Type,
          &leafNames, &PyTuple_Type, &placements, &PyTuple_Type, &donated,
          &PyTuple_Type, &results, &prepare, &convert, &fail, &children, &build,
          &function, &device))
    return NULL;
  Call *call = (Call *)PyType_GenericAlloc(type, 0);
  if (!call)
    return NULL;
  PyObject **fields[] = {&call->owner,       &call->kinds,    &call->names,
                         &call->resultKinds, &call->prepare,  &call->convert,
                         &call->fail,        &call->children, &call->build,
                         &call->function,    &call->device};
  PyObject *values[] = {owner, kinds,    leafNames, results,  prepare, convert,
                        fail,  children, build,     function, device};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i) {
    Py_INCREF(values[i]);
    *fields[i] = values[i];
  }
  call->executable = PyLong_AsVoidPtr(executable);
  call->numInputs = inputs;
  call->numLeaves = PyTuple_Size(kinds);
  call->numResults = PyTuple_Size(results);
  if (PyErr_Occurred() || call->numLeaves > inputs ||
      PyTuple_Size(leafNames) != call->numLeaves ||
      PyTuple_Size(placements) != call->numLeaves ||
      PyTuple_Size(donated) != call->numLeaves) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_ValueError, "lists of unequal lengths");
    Py_DECREF(call);
    return NULL;
  }
  if (readInputs(call, placements, donated) ||
      makeNode(&call->arguments, inTree) || makeNode(&call->results, outTree)) {
    Py_DECREF(call);
    return NULL;
  }
  return (PyObject *)call;
}

static PyMethodDef methods[] = {
    {"run", (PyCFunction)(void (*)(void))callCall, METH_FASTCALL,
     "The result of the program for (args, kwargs); NotImplemented where they "
     "are not what it is for. The second argument says where the call is."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_new, newCall},
                              {Py_tp_dealloc, deallocCall},
                              {Py_tp_methods, methods},
                              {Py_tp_doc, "A call of one compiled program."},
                              {0, NULL}};
PyType_Spec callSpec = {"tessera._native._dispatch.Call", sizeof(Call), 0,
                        Py_TPFLAGS_DEFAULT, slots};
