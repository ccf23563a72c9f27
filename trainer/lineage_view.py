"""Where a model comes from, on the console: each link with the command that fetches it."""

from rich.console import Console
from rich.text import Text

from trainer.lineage import Lineage, Link
from trainer.show_view import line


def render(found: Lineage, console: Console) -> None:
    """Print a lineage."""
    line(console, Text.assemble((found.revision, "bold"), f"  {found.state}"))
    line(console, found.address)
    if found.hub_commit:
        line(console, f"Hub commit {found.hub_commit}")
    for link in found.links:
        _link(link, console)
    _releases(found, console)
    console.print()
    if not found.unknown:
        line(console, "Nothing is unknown: every link above is recorded.")
        return
    line(console, Text("Not known", style="bold yellow"))
    for sentence in found.unknown:
        line(console, f"  {sentence}")


def _link(link: Link, console: Console) -> None:
    console.print()
    value = Text("not known", style="yellow") if link.value is None else Text(link.value)
    line(console, Text.assemble((f"{link.what:<11}", "bold"), value))
    if link.about:
        line(console, Text(f"{'':11}{link.about}", style="dim"))
    if link.fetch:
        line(console, Text.assemble(f"{'':11}", (f"$ {link.fetch}", "cyan")))


def _releases(found: Lineage, console: Console) -> None:
    if not found.releases:
        return
    console.print()
    line(console, Text("Releases, newest first", style="bold"))
    for release in found.releases:
        line(
            console,
            f"  {release.tag:<9} {release.time}  {release.fingerprint}  {release.change}: "
            f"{'; '.join(release.reasons)}",
        )
    line(console, Text("History", style="bold"))
    for event in found.events:
        verb = "published" if event.action == "publish" else "rolled back to"
        line(console, f"  {event.time}  {verb} {event.tag} (before: {event.previous or 'none'})")
