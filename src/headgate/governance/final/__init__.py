"""The final gate: what has to be true of a whole answer before its log may say `completed`.

gate          the checks in their order, and what they come to; begin here
formatting    how the final text is mended
rescan        the rules once more, over whole parts and across them
schema        JSON against the schema it was asked for   ecma (its patterns)
drift         how far the final text is from what was streamed
"""
