"""The HTTP surface, on bare ASGI.

    exchange     one request and its answer, whichever server carries it
    callers      who is asking
    creation     POST /v1/chat/completions
    direct       the same on our own server's connection, without ASGI
    responses    the object, the log and the cancelling of a response
    operations   models, health, metrics

Handlers raise `RequestError`; `headgate.app` turns it into the caller's dialect.
"""
