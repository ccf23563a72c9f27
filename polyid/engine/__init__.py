"""The engine: PolyID's networks on quotient graphs, all members of an ensemble in one program."""
