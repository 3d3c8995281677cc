"""The HTTP surface, on bare ASGI.

    exchange      one request and its answer, whichever server carries it
    callers       who is asking
    creation      POST of every dialect's creation endpoint; `gemini` where the path says what others say in the body
    direct        the same on our own server's connection, without ASGI
    conversation  what the Responses dialect knows beyond one answer: objects, input items, earlier turns
    responses     the log, cancelling and deleting
    socket        WebSocket; what runs on one is in `lanes`
    counting      tokens of a request that is not made
    models        the models there are
    operations    health, metrics

Handlers raise `RequestError`; `headgate.app` turns it into the caller's dialect.
"""
