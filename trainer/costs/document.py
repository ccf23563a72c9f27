"""``docs/costs.md``: written by `trainer costs --document`, from the dated tables alone."""

from pathlib import Path

from trainer.costs.asking import Answer, ask
from trainer.costs.estimate import FINISH_S
from trainer.costs.prices import content, listed, targets
from trainer.costs.throughput import table
from trainer.costs.view import HEADINGS, cells, in_order
from trainer.plan import make_plan

_RECIPES = ("publication", "params.yaml")
_BUDGET = 500.0

_HEAD = """\
# What a run costs

Written by `trainer costs --document docs/costs.md`; a test holds it in step with the code. The same
for your data and recipe, with today's prices where a provider tells them (Hub, RunPod):

```sh
trainer costs                                   # every target and machine, cheapest first
trainer costs --params publication --budget 500   # how many runs it pays
trainer costs --target hf-jobs --hardware l4x1 --budget 5   # exit 1 if a run costs more
trainer costs --measure                         # takes a few training steps here first
```

Hours are counted updates by measured milliseconds per update of this model on this data, the
polymers predicted for validation, and the time around: start of the machine (3 minutes, assumed,
not measured), imports, features and, on a GPU, compilation (measured), and the stages after
training, {finish:.0f} s: measured 2026-11-25 as processor time of a quick run of the whole table
on two busy cores, from the training's end to the stored candidate in a folder. What the upload to
the Hub takes is not in it. The total has a month of storage of the candidate.

A line is *measured* only if this very recipe was measured on this very hardware. Every other one is
an *estimate*: fewer or more cores of the measured kind, or a GPU's data sheet.

No GPU has been measured yet. A GPU runs the compiled program, so the estimate for one is the
throughput of that program on two cores times the least of: a quarter of the ratio of float32 peaks
(small matrices fill a GPU less well), the ratio of memory bandwidths, and 30; a step takes 2 ms at
least, for the launches of its kernels.
"""

_PLAN = """\
## Beside the training plan's own estimate

The plan that this pipeline was built from expected one publication run (10 members, 500 epochs, 229
samples: 1,030,000 updates) to take:

| its assumption | hours | its dollars |
|---|---|---|
| 0.1 s an update, a good GPU | 29 | |
| A10G at $1.00 | 30 to 50 | 30 to 50 |
| T4 | 50 | |
| 0.5 s an update, CPU or slow GPU | 143 | |
| A100 on RunPod, spot, $1.39, two hours | 2 | 3.06 with 10 % for interruptions |
| A10G Space at $1.05, two hours and one of testing | 3 | 3.15 |
| Colab Pro+ | – | 49.99 a month |
| Lambda A100 at $1.10, two hours | 2 | 2.20 |
| SageMaker ml.g5.xlarge at $1.41, two hours | 2 | 3.50 |
| Azure NC24ads A100 at $3.67, two hours | 2 | 8 |

The two-hour figures are those of another model in the same documents. Against it:

"""


def write(path: Path, data: Path, work: Path) -> None:
    """Write the document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(data, work), encoding="utf-8")


def text(data: Path, work: Path, folder: Path | None = None) -> str:
    """Return the document.

    Parameters
    ----------
    data, work
        The data file, and the folder of runs.
    folder
        Where ``params.yaml`` is; the present folder by default.
    """
    answers = [ask(make_plan(data, _recipe(name, folder), work), listed=True) for name in _RECIPES]
    plan = _PLAN + _against(answers[0])
    parts = [_HEAD.format(finish=FINISH_S), *map(_estimates, answers), plan, _sources()]
    return "\n".join(parts)


def _recipe(name: str, folder: Path | None) -> str:
    return str(folder / name) if folder and name.endswith(".yaml") else name


def _estimates(answer: Answer) -> str:
    size, recipe = answer.size, answer.plan.params
    head = (
        f"## `{recipe.recipe}` on the property table\n\n"
        f"{size.members} members × {size.updates:,} updates of batch {recipe.training.batch_size}; "
        f"a candidate of {1000 * size.storage_gb:.0f} MB. Runs: how many {_BUDGET:.0f} dollars pay."
    )
    rows = [HEADINGS, ("---",) * len(HEADINGS)]
    rows += [cells(it, _BUDGET) for it in in_order(answer.estimates)]
    return head + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _against(answer: Answer) -> str:
    found = {(it.price.target, it.price.hardware): it for it in answer.estimates}
    here, a10g = found["local", "this-machine"], found["hf-space", "a10g-small"]
    updates = answer.size.members * answer.size.updates
    least = min((it for it in answer.estimates if it.usd), key=lambda it: it.usd)
    return (
        f"- on today's table ({answer.size.members} members, {updates:,} updates, "
        f"{updates / 1_030_000:.1f} times the plan's) two cores take {here.hours:.0f} hours and "
        "cost nothing;\n"
        f"- the A10G of a Space is estimated at {a10g.hours:.1f} hours and ${a10g.usd:.2f}, for "
        "which the plan had 30 to 50 hours and dollars for a fifth of the updates;\n"
        f"- the cheapest rented machine is `{least.price.hardware}` of {least.price.target}: "
        f"${least.usd:.2f} in {least.hours:.1f} hours.\n\n"
        "RunPod's spot pods are gone (2026-05), its prices here are on demand. The persistent "
        "storage of Spaces that the plan counts (20 GB, $5 a month) is gone too.\n"
    )


def _sources() -> str:
    lines = ["## Where the figures are from\n", "| Prices of | source | read | weak, because |",
             "|---|---|---|---|"]  # fmt: skip
    for name in targets():
        first = listed(name)[0]
        lines.append(f"| {name} | {first.source} | {first.date} | {first.weak or '–'} |")
    storage = content()["storage"]
    lines.append(
        f"| storage, ${storage['usd_per_gb_month']} per GB and month | {storage['source']} | "
        f"{storage['date']} | {storage['weak']} |"
    )
    lines += ["", "| Measured | ms per update | ms per prediction | start | date | how |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for row in table():
        work = row.work
        lines.append(
            f"| {work.model}, {work.num_messages} blocks of {work.features}, batch "
            f"{work.batch_size}, data {row.data[:8]}, on {row.machine} | {row.ms_per_update:g} | "
            f"{row.ms_per_watched:g} | {row.start_s:g} s | {row.date} | {row.note} |"
        )
    return "\n".join(lines) + "\n"
