"""People: an answer that waits for somebody.

review        what is held, and who may do what to it when
decision      what that does to the log
"""
