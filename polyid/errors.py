"""Errors that a user can cause. Their texts say what came, what was expected and what is next."""


class PolyIDError(ValueError):
    """Base of every error that input, files or settings can cause."""


class SmilesError(PolyIDError):
    """A text is not a SMILES string that can be read, or holds something unsupported."""


class RepeatUnitError(SmilesError):
    """A repeat unit with ``*`` ends cannot be joined into a chain."""


class PolymerisationError(PolyIDError):
    """Monomers cannot be joined by the mechanism asked for, or by any known one."""


class ElementError(PolyIDError):
    """A polymer holds an element that the model never saw in training."""


class DomainError(PolyIDError):
    """A domain of validity cannot be built, or its file cannot be trusted."""
