"""What a token costs on its way through a gateway, measured beside nginx in the same run.

    python -m benchmarks              every scenario: direct, nginx, headgate          (make bench)
    python -m benchmarks.micro        the stages of the token path alone, no sockets

    answers      the answers that travel: frames, and the check that nothing of them was lost, changed or reordered
    provider     a mock provider that sends them, as lean as Python can be
    load         clients that ask for them, check every one, and note times
    scenarios    what is asked for, as data
    targets      the gateways: how each is started, on one core, and stopped
    machine      cores, CPU time of a process tree, memory, who else was working
    report       medians, ratios, table, JSON

The gateway has one core to itself; provider, clients and this program share another. Everything is on the loopback
interface, every wait has a deadline, and every process started is ended by its id.
"""
