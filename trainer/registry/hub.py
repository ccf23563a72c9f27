"""The registry on the Hugging Face Hub: every change is one commit with a checked parent, or a tag.

The layout is in `polyid.hub`, which reads it. A release is published when its tag stands; a
publication that died between commit and tag is finished by the next writer. Whoever loses a race
is told by the Hub (412), looks again and decides anew, so nothing is overwritten unseen.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from polyid import hub
from polyid.hub_errors import HubError, explained
from polyid.registry import FINGERPRINT, match_fingerprint
from trainer.record import RECORD
from trainer.registry import hub_state
from trainer.registry.base import METRICS, RELEASE, Candidate, RegistryError, Release
from trainer.registry.checks import (
    again,
    checked,
    content_hash,
    is_in,
    require_fingerprint,
    require_judged_today,
    require_same_files,
    review_names,
)
from trainer.registry.hub_access import require_access
from trainer.registry.hub_read import HubReader, Main
from trainer.registry.hub_state import PUBLISHED, ROLLED_BACK
from trainer.registry.hub_tree import promote, require_tree, upload, verified_tree
from trainer.registry.promotion import decide

#: How often a write that others overtook is decided anew.
_TRIES = 50
_OVERTAKEN = 412
#: What a version number depends on.
_FACTS = (METRICS, RECORD)


class HubRegistry(HubReader):
    """A registry in the model repository ``hf://namespace/name``.

    Parameters
    ----------
    address : str
        The repository; the first candidate creates it.
    public : bool
        Whether a repository that is created can be read by everybody.
    """

    def __init__(self, address: str, *, public: bool = False) -> None:
        super().__init__(address)
        self._public = public

    def require_writable(self) -> None:
        """Prove that a candidate can be uploaded, before hours are spent on it."""
        require_access(self.repo)
        self._ensure()

    def add_candidate(self, folder: Path, fingerprint: str) -> str:
        """Store what a run made; see `Registry.add_candidate`."""
        if not FINGERPRINT.fullmatch(fingerprint):
            raise RegistryError(
                f"Expected a fingerprint of 16 hex digits, received {fingerprint!r}."
            )
        names = checked(folder, fingerprint)
        self._ensure()
        branch, title = f"candidate/{fingerprint}", f"Candidate {fingerprint}"
        root = hub_state.root_commit(self.repo)
        for _ in range(_TRIES):
            head = self._refs().branches.get(branch)
            if head is None:
                head = self._branch(branch, root)
            if hub_state.is_whole(self.repo, head):
                stored = verified_tree(self.repo, head, branch).files
                require_same_files(folder, names, stored, fingerprint)
                return hub_state.url(self.repo, branch)
            self._send(folder, names, branch, head, title)
        raise self._too_busy(branch)

    def regate(self, fingerprint: str, folder: Path) -> Candidate:
        """Store a new verdict on a candidate beside it; see `Registry.regate`."""
        names = review_names(folder)
        for _ in range(_TRIES):
            main = self._settled()
            name = match_fingerprint(fingerprint, self._whole(main.refs), self)
            require_fingerprint(folder, name)
            require_judged_today(folder, name, main.current.tag if main.current else None)
            newest = hub.fetch(self._pinned(main.refs, "review", name), [])
            if is_in(folder, names, newest):
                return self._candidate(main.refs, name)
            branch = f"review/{name}"
            head = main.refs.branches.get(branch)
            if head is None:
                head = self._branch(branch, hub_state.root_commit(self.repo))
            self._send(folder, names, branch, head, f"Verdict on {name}")
        raise self._too_busy(f"review/{fingerprint}")

    def publish(
        self, fingerprint: str, *, version: str | None = None, dry_run: bool = False
    ) -> Release:
        """Make a reviewed candidate the current release; see `Registry.publish`."""
        for _ in range(_TRIES):
            main = self._main(self._refs()) if dry_run else self._settled()
            name = match_fingerprint(fingerprint, self._whole(main.refs), self)
            for tag, commit in main.refs.tags.items():
                release = hub_state.read_release(self.repo, tag, commit)
                if release.fingerprint == name:
                    return again(release, version)
            done = self._publish(main, name, version, dry_run)
            if done is not None:
                return done
        raise self._too_busy("main")

    def rollback(self, tag: str) -> Release:
        """Make an earlier release current again. The history keeps both."""
        for _ in range(_TRIES):
            main = self._settled()
            release = self.release(tag)
            if main.current is not None and main.current.tag == tag:
                return release
            assert release.commit is not None
            tree = verified_tree(self.repo, release.commit, tag)
            previous = main.current.tag if main.current else None
            said = hub_state.trailer(release.fingerprint, previous)
            title = f"{ROLLED_BACK} {tag}"
            try:
                promote(self.repo, [tree], {}, parent=main.head, title=title, description=said)
            except HubError as error:
                if error.status != _OVERTAKEN and not error.unanswered:
                    raise
                now = self.current()
                if error.status != _OVERTAKEN and (now is None or now.tag != tag):
                    raise
            else:
                return release
        raise self._too_busy("main")

    def _settled(self) -> Main:
        """Read where ``main`` stands, after finishing what died between commit and tag."""
        main = self._main(self._refs())
        path = hub.read_file(self.repo, main.head, RELEASE)
        if path is None:
            return main
        said = hub_state.release_from(path, self.repo, main.head)
        if said.tag in main.refs.tags:
            return main
        commit = hub_state.unfinished_commit(self.repo, said.tag)
        if commit is None:
            return main
        require_tree(self.repo, commit, said.tag)
        self._tag(replace(said, commit=commit))
        return self._main(self._refs())

    def _ensure(self) -> None:
        """Create the repository if there is none."""
        with explained(self.repo, "creating the repository"):
            try:
                HfApi().repo_info(self.repo)
            except RepositoryNotFoundError:
                HfApi().create_repo(self.repo, private=not self._public, exist_ok=True)

    def _branch(self, branch: str, root: str) -> str:
        with explained(self.repo, f"creating the branch {branch}"):
            HfApi().create_branch(self.repo, branch=branch, revision=root, exist_ok=True)
        return self._refs().branches[branch]

    def _send(self, folder: Path, names: Sequence[str], branch: str, head: str, title: str) -> None:
        """Upload a folder; the caller looks afterwards what stands there."""
        try:
            upload(self.repo, folder, names, branch=branch, parent=head, title=title)
        except HubError as error:
            if error.status == _OVERTAKEN:
                return
            if not error.unanswered or self._refs().branches.get(branch) == head:
                raise

    def _publish(self, main: Main, name: str, version: str | None, dry_run: bool) -> Release | None:
        """Publish if ``main`` still stands where it did; None if somebody was faster."""
        candidate = self._candidate(main.refs, name)
        made = self._pinned(main.refs, "candidate", name)
        judged = self._pinned(main.refs, "review", name)
        trees = [verified_tree(self.repo, made.commit, made.revision)]
        if judged != made:
            trees.append(verified_tree(self.repo, judged.commit, judged.revision))
        old = hub.fetch(self._at(main.current), _FACTS) if main.current else None
        tag, change, reasons = decide(
            candidate, trees[0].folder, main.current, old, list(main.refs.tags), version, self
        )
        release = Release(
            tag=tag,
            fingerprint=name,
            address=hub_state.url(self.repo, tag),
            previous=main.current.tag if main.current else None,
            change=change,
            reasons=reasons,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            content=content_hash(trees[0].files),
            status="would be published",
        )
        if dry_run:
            return release
        said = {
            key: getattr(release, key)
            for key in ("tag", "fingerprint", "previous", "change", "reasons", "time", "content")
        }
        text = (json.dumps(said, indent=2) + "\n").encode()
        try:
            commit = promote(
                self.repo,
                trees,
                {RELEASE: text},
                parent=main.head,
                title=f"{PUBLISHED} {tag}",
                description=hub_state.trailer(name, release.previous),
            )
        except HubError as error:
            if error.status == _OVERTAKEN:
                return None
            found = self._after_silence(text) if error.unanswered else None
            if found is None:
                raise
            commit = found
        require_tree(self.repo, commit, tag)
        release = replace(release, commit=commit, status="published")
        self._tag(release)
        return release

    def _after_silence(self, text: bytes) -> str | None:
        """Return the commit that was made although the answer was lost."""
        head = self._refs().branches["main"]
        path = hub.read_file(self.repo, head, RELEASE)
        return head if path is not None and path.read_bytes() == text else None

    def _tag(self, release: Release) -> None:
        """Set a release's tag; that it stands already is as good."""
        message = f"Candidate {release.fingerprint}: {'; '.join(release.reasons)}"
        try:
            with explained(self.repo, f"setting the tag {release.tag}"):
                HfApi().create_tag(
                    self.repo, tag=release.tag, tag_message=message, revision=release.commit
                )
        except HubError as error:
            at = self._refs().tags.get(release.tag)
            if at == release.commit:
                return
            if at is not None:
                raise RegistryError(
                    f"{self}: the tag {release.tag} was set by hand on another commit, so this "
                    "release was not published. Run the same command again: it takes the next one."
                ) from None
            raise HubError(
                f"{error} The files are on main; the release counts once its tag stands, which "
                "the same command sets."
            ) from None

    def _at(self, release: Release) -> hub.Pinned:
        assert release.commit is not None
        return hub.Pinned(self.repo, release.tag, release.commit)

    def _too_busy(self, where: str) -> RegistryError:
        return RegistryError(
            f"{self}: others changed {where} {_TRIES} times while this was being written. Nothing "
            "of it was stored; run the same command again."
        )
