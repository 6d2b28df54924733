# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Trainer: the loop around the compiled step."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.checkpoints.folders import latest, locked, step_folder
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, TrainingError
from tessera._src.core.files import write_whole
from tessera._src.data.loader import Loader
from tessera._src.meshes.mesh import Mesh
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.training import diagnosis, evaluation
from tessera._src.training.config import TrainConfig
from tessera._src.training.setup import Setup
from tessera._src.training.signals import StopSignals
from tessera._src.training.state import Checkpoints, TrainState
from tessera._src.training.vocabulary import check_batch

_LOCK = ".training.lock"


@dataclass
class _Pending:
    """A step that was dispatched, and whose numbers have not been read."""

    number: int
    numbers: dict[str, Any]
    batch: dict[str, np.ndarray]
    begin: float
    wait: float
    epoch: int | None
    seconds: float = 0.0


class Trainer:
    """Trains a causal language model: ts.Trainer(model, config).fit().

        config = ts.TrainConfig.from_file("train.yaml", ["parallel.tp=2"])
        trainer = ts.Trainer(None, config, callbacks=[...])
        state = trainer.fit()

    A step computes the gradient of the mean loss over all labels of its batch, in config.train.micro_batches
    parts, clips it, and updates the weights, in one compiled program whose memory is updated in place. Its
    numbers are read when the next step has been dispatched, those of the first at once.

    With config.train.folder, `fit` writes checkpoints, and goes on from the newest one there is: with the
    weights, the state of the optimizer and of the loss scale, the next sample and the next random numbers,
    so that later losses are those of a run that was not interrupted. SIGINT and SIGTERM end a run after the
    step at hand, with a checkpoint; a second one ends it at once.

    All problems of a configuration are found when the trainer is made, before anything is compiled or
    written.

    Args:
        model: a ts.models.GPT2, ts.models.Llama or other module that gives logits [batch, sequence,
            vocabulary] of tokens [batch, sequence], with weights or without (they are then drawn from
            config.train.seed). The trainer takes it over: arrays of it are donated to the first step, and
            `trainer.model` has the trained ones. None for the model of config.model.
        config: a TrainConfig, what it is made of (a dictionary), or a file of it.
        mesh: of the devices; where it is None that of the model's weights, or of config.parallel.
        data: a data set of ts.data or a loader of one; None for config.data.
        eval_data: a data set, or a list of them; None for those of config.data.
        callbacks: ts.monitor.Callback objects, called with records of steps and events.
        peak_flops: floating-point operations a second of all devices, of which steps say the part they use;
            ts.monitor.measured_peak() measures it. None for none.

    Attributes:
        reason: why the last `fit` ended: "done", "stopped" (by a signal, whose name is `signal`), "failed".

    Raises:
        ConfigError (TS4030): what is wrong with the configuration, all at once.
        DataError: a text or file of tokens is at fault.
    """

    def __init__(self, model: Any = None, config: Any = None, mesh: Mesh | None = None, data: Any = None, *,
                 eval_data: Any = None, callbacks: Iterable[Callback] = (),
                 peak_flops: float | None = None):
        self.config = _config_of(config)
        if isinstance(callbacks, (str, bytes, Mapping)) or not isinstance(callbacks, Iterable):
            raise ConfigError("TS4030", f"callbacks is a {type(callbacks).__name__}",
                              expected="a list of ts.monitor.Callback objects",
                              hint="callbacks=[callback]" if isinstance(callbacks, Callback) else None)
        self.callbacks = tuple(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ConfigError("TS4030", f"a callback is a {type(callback).__name__}",
                                  expected="an object of a class derived from ts.monitor.Callback")
        self._setup = Setup(model, self.config, mesh, data, eval_data)
        self.peak_flops = peak_flops
        self.reason: str | None = None
        self.signal: str | None = None
        self.mesh: Mesh = self._setup.mesh
        self.loader: Loader = self._setup.loader
        folder = self.config.train.folder
        self.folder = None if folder is None else Path(os.path.expanduser(folder))
        self._checkpoints: Checkpoints | None = None
        self._state: TrainState | None = None
        self._halted: Any = None
        self._programs: tuple[Callable, Callable] | None = None
        self._pending: _Pending | None = None
        self._skipped_in_a_row = 0
        self._first_data = self.loader.state()
        self._is_ahead = False  # Whether callbacks are told of a step while the next one is on its way.
        self._is_save_wanted = False  # By a callback, once that step is known to be good.
        self._was_cut_short = False  # Whether an error ended the last fit, so that no step may be at hand.
        self._has_donated = False  # Whether a step has taken the first weights over.

    # -- What there is ----------------------------------------------------------------------------------

    @property
    def state(self) -> TrainState:
        """Weights, the optimizer's state, and counters: new ones, or those of the newest checkpoint."""
        return self._prepared()

    @property
    def model(self) -> Any:
        """The model with its present weights, which the next step donates."""
        return self._prepared().model

    @property
    def step(self) -> int:
        """Steps that were done."""
        return self._prepared().step

    # -- What it does -----------------------------------------------------------------------------------

    def fit(self) -> TrainState:
        """Trains until config.train.steps are done or a signal comes, and gives the state.

        Called again after an error, it begins at the newest checkpoint, or where there is none, anew: with
        the same first weights, which a model that was given with weights has no more.

        While it runs it holds a lock of config.train.folder, which is written to once all callbacks have
        started.

        Raises:
            ConfigError (TS4030): it is to begin anew with a model whose weights were given.
            TrainingError: a step whose loss or gradient is not finite, with the first tensor that is not
                (TS8001); too many skipped steps in a row (TS8002). Checkpoints stay as they are.
            CheckpointError: a checkpoint cannot be loaded or written, or another training runs in the
                folder (TS6009).
        """
        with StopSignals() as signals, self._held_folder():
            self._begin_again()
            state = self._prepared()
            started: list[Callback] = []
            error: BaseException | None = None
            reason = "failed"
            try:
                info = self._info()
                for callback in self.callbacks:
                    started.append(callback)
                    callback.on_start(info)
                self._write_config()
                if state.step:
                    self._event({"event": "message", "text": f"goes on after step {state.step}"})
                reason = self._loop(signals)
                self._save_done(wait=True)
            except BaseException as caught:
                error = caught
                self._was_cut_short = True
                if isinstance(caught, KeyboardInterrupt):
                    reason = "stopped"
                raise
            finally:
                self.reason, self.signal = reason, signals.received
                self._end(started, reason, error)
        return state

    def evaluate(self) -> dict[str, float]:
        """The mean "loss" over all labels of the evaluation data, its "perplexity", and "tokens" counted.

        Raises: ConfigError (TS4030): there are no data to evaluate on; a callback calls it while a step is
            on its way, which has the weights.
        """
        self._check_is_at_rest("evaluate")
        if not self._setup.evaluation:
            raise ConfigError("TS4030", "there are no data to evaluate on",
                              hint="pass eval_data, or set data.eval_path or data.eval_fraction")
        run = self.config.train
        model = self._prepared().model
        return evaluation.evaluate(self._compiled()[1], model, self._setup.evaluation,
                                   run.batch // run.micro_batches, run.eval_batches, self._setup.names,
                                   self._setup.vocabulary)

    def sample(self, prompt: str | None = None, tokens: int | None = None) -> str:
        """The prompt with a text that the model goes on with, drawn with config.train.sample_temperature.

        Raises: ConfigError (TS4030): there is no tokenizer, or the model does not generate; a callback calls
            it while a step is on its way, which has the weights.
        """
        self._check_is_at_rest("sample")
        run, tokenizer = self.config.train, self._setup.tokenizer
        model = self._prepared().model
        if tokenizer is None or not hasattr(model, "generate"):
            raise ConfigError("TS4030", "there is no tokenizer to sample text with" if tokenizer is None
                              else f"{type(model).__name__} has no generate()",
                              hint="set data.tokenizer" if tokenizer is None else None)
        return evaluation.sample(model, tokenizer, run.sample_prompt if prompt is None else prompt,
                                 run.sample_tokens if tokens is None else tokens, run.sample_temperature,
                                 run.seed, self._prepared().step)

    def save(self) -> Path:
        """Saves the present state into config.train.folder, waits for it, and gives the checkpoint's folder.

        A callback that is told of a step while the next one is on its way gets the folder of that next one:
        it is written when its numbers are known to be good, before another step begins.

        Raises:
            ConfigError (TS4030): there is no folder, or an error ended the last `fit` within a step.
            CheckpointError: it cannot be written (TS6005, TS6009).
        """
        if self.folder is None:
            raise ConfigError("TS4030", "there is no folder to save into", hint="set train.folder")
        if self._was_cut_short:
            raise ConfigError("TS4030", "an error ended the last fit(), and there is no whole step to save",
                              hint="call fit() again, which goes on from the newest checkpoint")
        self._prepared()
        if self._is_underway:
            self._is_save_wanted = True
        else:
            self._save()
            self._save_done(wait=True)
        return step_folder(self.folder, self.step)

    @property
    def _is_underway(self) -> bool:
        """Whether a step was dispatched whose numbers have not been looked at."""
        return self._is_ahead or self._pending is not None

    def _check_is_at_rest(self, what: str) -> None:
        """Raises ConfigError where the weights are those of a step that callbacks do not know yet."""
        if self._is_underway:
            raise ConfigError("TS4030", f"{what}() is called by a callback while step {self.step} is on its "
                              f"way, whose weights are no longer those of step {self.step - 1}",
                              hint=f"set train.{'eval' if what == 'evaluate' else what}_every, or call it "
                              "after fit()")

    # -- Preparing --------------------------------------------------------------------------------------

    def _begin_again(self) -> None:
        """After an error: forgets the state, so that it is that of the newest checkpoint, or new."""
        if not self._was_cut_short:
            return
        setup = self._setup
        if self._has_donated and (self.folder is None or latest(self.folder) is None):
            if setup.has_given_weights:
                raise ConfigError("TS4030", "there is no checkpoint, and the model's first weights were "
                                  "taken over by the steps that were done",
                                  hint="make a new ts.Trainer with a model, or set train.folder and "
                                  "train.save_every")
            setup.describe()
        self._state, self._skipped_in_a_row = None, 0
        self._was_cut_short = self._has_donated = self._is_save_wanted = False
        self.loader.load_state(self._first_data)

    def _prepared(self) -> TrainState:
        """The state, made or loaded when it is first asked for."""
        if self._state is not None:
            return self._state
        setup = self._setup
        if self.folder is not None:
            keep = self.config.checkpoint
            retention = None if keep.keep is None else {"last": keep.keep} | (
                {} if keep.keep_every is None else {"every": keep.keep_every})
            self._checkpoints = Checkpoints(self.folder, retention, keep.asynchronous)
        if self._checkpoints is not None and self._checkpoints.newest is not None:
            model = setup.description.abstract(self.mesh)
            first = setup.step.first_state(model)
            like = TrainState(model, first["optimizer"], first.get("scale"))
            state = self._checkpoints.load(like, self.loader)
        else:
            model = setup.weights()
            first = setup.step.first_state(model)
            state = TrainState(model, first["optimizer"], first.get("scale"))
        self._state, self._halted = state, first["halted"]
        return state

    @contextlib.contextmanager
    def _held_folder(self) -> Iterator[None]:
        """Holds the lock of the folder, which is made."""
        if self.folder is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.folder, None, _LOCK, "another training runs in"))
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError("TS4031", f"{self.folder} cannot be written to: {error.strerror or error}",
                              hint="set train.folder") from None

    def _write_config(self) -> None:
        if self.folder is not None:
            with self._writing():
                write_whole(self.folder / "config.yaml", self.config.to_yaml().encode())

    def _compiled(self) -> tuple[Callable, Callable]:
        if self._programs is None:
            self._programs = self._setup.step.compiled(self.mesh, self._setup.dp, **self._setup.options)
        return self._programs

    def _info(self) -> RunInfo:
        setup, state = self._setup, self._prepared()
        axes = " ".join(f"{name}={size}" for name, size in self.mesh.shape.items())
        return RunInfo(folder=self.folder or Path(), config=self.config.to_dict(),
                       steps=self.config.train.steps, first_step=state.step,
                       parameters=sum(leaf.size for leaf in tree.leaves(state.model)),
                       flops_per_token=setup.flops_per_token(), devices=self.mesh.size,
                       mesh=axes or "1 device",
                       tokens_per_step=self.config.train.batch * self.loader.dataset.length,
                       peak_flops=self.peak_flops)

    # -- The loop ---------------------------------------------------------------------------------------

    def _loop(self, signals: StopSignals) -> str:
        run, state = self.config.train, self._prepared()
        first = state.step + 1
        while state.step < run.steps and signals.received is None:
            begin = time.monotonic()
            if self._pending is not None:
                self._pending.seconds = begin - self._pending.begin
            try:
                batch = self._next_batch()
            except StopIteration:
                self._event({"event": "message", "text": f"the data have ended after step {state.step}"})
                break
            pending = self._dispatched(batch, begin)
            self._is_ahead = True
            self._report()
            self._is_ahead, self._pending = False, pending
            if pending.number == first:  # What there is to see of a run is not to wait for two steps.
                self._flush()
            self._save_done()
            self._between()
        self._flush()
        self._save_wanted()
        if self._checkpoints is not None and self._checkpoints.newest != state.step:
            self._save_done(wait=True)
            if self._checkpoints.newest != state.step:
                self._save()
        return "done" if signals.received is None else "stopped"

    def _next_batch(self) -> dict[str, np.ndarray]:
        first = self.loader.samples
        batch = next(self.loader)
        micro = self.config.train.micro_batches
        lacking = [name for name in self._setup.names if name not in batch]
        if lacking:
            raise ConfigError("TS4030", f"samples of {type(self.loader.dataset).__name__} have no "
                              f"'{lacking[0]}'", got=f"{', '.join(batch)}")
        check_batch(batch, self._setup.vocabulary, self.loader.dataset, first)
        return {name: batch[name].reshape(micro, -1, batch[name].shape[-1]) for name in self._setup.names}

    def _dispatched(self, batch: dict[str, np.ndarray], begin: float) -> _Pending:
        """Runs a step, whose numbers are read later."""
        state = self._prepared()
        wait, epoch = time.monotonic() - begin, self.loader.epoch
        number = state.step
        given = {"optimizer": state.optimizer, "halted": self._halted}
        if state.scale is not None:
            given["scale"] = state.scale
        program = self._compiled()[0]
        self._has_donated = True
        model, after, numbers = program(state.model, given, self._key(number), batch)
        state.model, state.optimizer, state.scale = model, after["optimizer"], after.get("scale")
        self._halted = after["halted"]
        state.step = number + 1
        return _Pending(state.step, numbers, batch, begin, wait, epoch)

    def _key(self, number: int) -> np.ndarray:
        """The key of a step's random choices; each micro-batch folds its number into it."""
        return np.random.SeedSequence([self.config.train.seed, number]).generate_state(2).view(np.int32)

    def _between(self) -> None:
        """What is due after some steps: a checkpoint, an evaluation, a text."""
        run, step = self.config.train, self._prepared().step

        def is_due(every: int) -> bool:
            return every > 0 and (step % every == 0 or step == run.steps)

        due = any(is_due(every) for every in (run.save_every, run.eval_every, run.sample_every))
        if not due and not self._is_save_wanted:
            return
        self._flush()
        self._save_wanted()
        if is_due(run.save_every) and self._checkpoints is not None:
            self._save()
        if is_due(run.eval_every):
            begin = time.monotonic()
            found = self.evaluate()
            self._event({"event": "evaluation", "step": step, **found, "seconds": time.monotonic() - begin})
        if is_due(run.sample_every):
            self._event({"event": "sample", "step": step, "text": self.sample()})

    def _save_wanted(self) -> None:
        """Saves where a callback has asked for it."""
        if self._is_save_wanted:
            self._is_save_wanted = False
            self._save()
            self._save_done(wait=True)

    def _flush(self) -> None:
        """Reads the numbers of the last step, which is then known to be good."""
        if self._pending is not None:
            np.asarray(self._pending.numbers["loss"])  # Waits.
            self._pending.seconds = time.monotonic() - self._pending.begin
            self._report()

    def _report(self) -> None:
        """Reads the numbers of the pending step, and tells the callbacks."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        state = self._prepared()
        numbers = {name: np.asarray(value).item() for name, value in pending.numbers.items()}
        is_good, updates = numbers.pop("is_good"), numbers.pop("updates")
        state.tokens += numbers["tokens"]
        state.skipped += not is_good
        seconds = max(pending.seconds, 1e-9)
        flops = self._setup.flops_per_token()
        mfu = None
        if flops is not None and self.peak_flops is not None:
            mfu = pending.batch["tokens"].size / seconds * flops / self.peak_flops
        record = {"event": "step", "step": pending.number, **numbers,
                  "lr": float(self._setup.step.optimizer.learning_rate(updates)),
                  "tokens_total": state.tokens,
                  "seconds": seconds, "tokens_per_second": numbers["tokens"] / seconds,
                  "mfu": mfu, "wait_seconds": pending.wait, "skipped": state.skipped,
                  "epoch": pending.epoch, "time": time.time()}
        failure = None
        if is_good:
            self._skipped_in_a_row = 0
        else:
            failure = self._bad_step(pending, record)
        for callback in self.callbacks:
            callback.on_step(record)
        if failure is not None:
            raise failure()

    def _bad_step(self, pending: _Pending, record: Mapping[str, Any]) -> Callable[[], TrainingError] | None:
        """A step that is not finite: makes the error that ends the run, or tells of a skipped update."""
        run, loss, norm = self.config.train, record["loss"], record["grad_norm"]
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the norm of the gradient is {norm}"
        is_overflow = self._setup.step.scaling is not None and math.isfinite(loss)
        if run.on_nan == "stop" and not is_overflow:
            self._prepared().step = pending.number  # The next one, on its way, changes nothing.
            return lambda: self._refusal(pending, what)
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row > run.max_skips:
            self._prepared().step = pending.number
            return lambda: TrainingError(
                "TS8002", f"{self._skipped_in_a_row} steps in a row were skipped, the last one is step "
                f"{pending.number}: {what}", notes=[self._what_is_left()],
                hint="train.on_nan=stop names the first tensor that is not finite")
        if is_overflow:
            what = f"gradients overflow at a loss scale of {record['loss_scale']:g}"
        scale = {"loss_scale": record["loss_scale"]} if "loss_scale" in record else {}
        self._event({"event": "skip", "step": pending.number, "reason": what, **scale})
        return None

    def _refusal(self, pending: _Pending, what: str) -> TrainingError:
        """The error for a step that is not finite: weights are still those before it, so that it can be
        computed again."""
        state = self._prepared()
        self._save_done(wait=True)
        found = diagnosis.first_bad(self._setup.step, self.mesh, state.model, state.scale,
                                    self._key(pending.number - 1), pending.batch, **self._setup.options)
        first = f"the first that is not finite is {found[0]}" if found else (
            "computed again, the step is finite: the devices do not compute the same twice")
        return TrainingError("TS8001", f"step {pending.number}: {what}; {first}",
                             notes=[*diagnosis.listed(found[1:]), self._what_is_left()],
                             hint="a smaller optim.lr, a longer optim.warmup, or train.on_nan=skip")

    def _what_is_left(self) -> str:
        newest = None if self._checkpoints is None else self._checkpoints.newest
        return "there is no checkpoint" if newest is None else (
            f"the newest checkpoint, of step {newest}, is as it was")

    # -- Checkpoints and callbacks ----------------------------------------------------------------------

    def _save(self) -> None:
        assert self._checkpoints is not None
        self._save_done(wait=True)
        if self._checkpoints.newest == self._prepared().step:
            return
        self._checkpoints.save(self._prepared(), self.config.to_dict(), self.loader)

    def _save_done(self, wait: bool = False) -> None:
        record = None if self._checkpoints is None else self._checkpoints.completed(wait)
        if record is not None:
            self._event(record)

    def _event(self, record: Mapping[str, Any]) -> None:
        for callback in self.callbacks:
            callback.on_event(record)

    def _end(self, started: list[Callback], reason: str, error: BaseException | None) -> None:
        """Tells the callbacks that the run has ended; completes a checkpoint that is being written."""
        problems: list[BaseException] = []
        if error is not None:
            self._pending, self._is_ahead = None, False
            try:
                self._save_done(wait=True)
            except Exception as caught:  # noqa: BLE001 The error that ended the run counts.
                problems.append(caught)
        record = {"event": "end", "reason": reason, "step": self._prepared().step,
                  "error": None if error is None else f"{type(error).__name__}: {error}"}
        for callback in started:
            try:
                callback.on_end(record)
            except Exception as caught:  # noqa: BLE001 All callbacks are told.
                problems.append(caught)
        if problems and error is None:
            raise problems[0]


def _config_of(config: Any) -> TrainConfig:
    if isinstance(config, TrainConfig):
        return config
    if isinstance(config, Mapping):
        return TrainConfig.from_dict(config)
    if isinstance(config, (str, os.PathLike)):
        return TrainConfig.from_file(config)
    raise ConfigError("TS4030", f"config is a {type(config).__name__}",
                      expected="a ts.TrainConfig, a dictionary of its sections, or a YAML or JSON file")
