"""The stream gate: events of a provider's answer -> events that may be shown, while they come.

    gate          the way of every event; begin here
    parts         what is kept of one part            joints    where its text goes on in the next one
    fields        what may stand beside a text        allowed   the fields that hold none, per dialect
    grouping      numbers of items once some are gone facts     what is said of the answer as a whole
    passage       governed text on its way: through the lane where there is one, else straight to the outlet
    actions       what is done about a match          outlet    into the log, or withheld

    lane          text that waits for judges          retracting  text that is taken back where they object
    segments      what they are asked about           questions   which of them have answered
    cuts          where their answers cut the text    json_values   JSON as a text that has a meaning

The lane hands to the outlet what the passage gave it; nothing but `gate` is known outside of this package.
"""
