"""The request gate: a request's strings, judged before anything goes upstream.

gate          what is masked, and what stops the request; begin here
bodies        where in a body its strings are
unjudgeable   what a request may not ask for, because no rule could judge the answer
"""
