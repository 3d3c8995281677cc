"""Governance: what text may leave, decided while it streams (laws 4 and 5). Pure: no sockets, no clock."""
