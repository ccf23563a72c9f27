"""What a step tells the workflow: outputs, annotations, the job's summary."""

import os
from pathlib import Path


def set_outputs(**values: str) -> None:
    """Set outputs of the step; outside a workflow, print them.

    Raises
    ------
    ValueError
        If a value has a line break: it could set another output.
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"The output {name} has a line break: {value!r}.")
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))


def notice(title: str, text: str, level: str = "notice") -> None:
    """Show a line on the run's page and in the job's summary."""
    plain = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{level} title={title}::{plain}")
    _append("GITHUB_STEP_SUMMARY", f"**{title}**: {text}\n\n")


def summary(text: str) -> None:
    """Show Markdown on the run's page; outside a workflow, nowhere."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        _append("GITHUB_STEP_SUMMARY", text)


def _append(variable: str, text: str) -> None:
    if place := os.environ.get(variable):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
