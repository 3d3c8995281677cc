"""What a token costs on its way through a gateway, measured beside nginx in the same run.

    python -m benchmarks              every scenario: direct, nginx, headgate          (make bench)
    python -m benchmarks --dialects   every dialect through headgate, and by itself
    python -m benchmarks --policies   policies through headgate, and by themselves
    python -m benchmarks.micro        the stages of the token path alone, no sockets

    answers      the answers that travel, in no dialect's words
    checks       the check that nothing of them was lost, changed or reordered
    wire         what there is to know of a dialect at both ends; wires has all of them
    provider     a mock provider that sends them, as lean as Python can be
    load         clients that ask for them, check every one, and note times
    scenarios    what is asked for, as data
    targets      the gateways: how each is started, on one core, and stopped
    runs         one load after another through one gateway after another
    machine      cores, CPU time of a process tree, memory, who else was working
    micro        the stages of the token path; dialects has those that differ between dialects, governance those of a policy
    report       medians, ratios, tables
    kept         JSON of everything

The gateway has one core to itself; provider, clients and this program share another. Everything is on the loopback
interface, every wait has a deadline, and every process started is ended by its id.
"""
