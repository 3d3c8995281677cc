"""The IO shell, piece by piece: real event loop, real sockets where there are any, nothing else real."""
