"""The HTTP surface, on bare ASGI.

    exchange      one request and its answer, whichever server carries it
    callers       who is asking
    creation      POST of every dialect's creation endpoint; `gemini` where the path says what others say in the body
    direct        the same on our own server's connection, without ASGI
    conversation  what the Responses dialect knows beyond one answer: objects, input items, earlier turns
    responses     the log, cancelling and deleting
    links         URLs that open one response for reading, where no header can be sent
    socket        WebSocket; what runs on one is in `lanes`
    counting      tokens of a request that is not made
    compaction    conversations that a provider makes shorter
    models        the models there are; `pages` of them
    operations    health, metrics
    openapi       what there is, described; `objects` are what is ours

Handlers raise `RequestError`; `headgate.app` turns it into the caller's dialect.
"""
