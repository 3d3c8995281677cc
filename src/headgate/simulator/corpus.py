"""What the simulator talks about: short pieces on rivers, locks and gates, written for this project.

Prose is wrapped here and unwrapped on import: one line per paragraph. It is plain ASCII; everything else a client may
meet (accents, right-to-left scripts, CJK, emoji joined from several code points) is in `UNICODE`.
"""

# ruff: noqa: RUF001  (ambiguous characters are the point of one piece)

from __future__ import annotations

from typing import Final


def _unwrap(text: str) -> str:
    """One line per paragraph; no white space but line ends is touched."""
    return "\n\n".join(paragraph.strip("\n").replace("\n", " ") for paragraph in text.strip("\n").split("\n\n"))


_HEADGATE = """
A headgate is the first thing a canal has to say to a river. It stands at the mouth of the ditch, a wooden or iron
leaf in a frame of stone, and it decides how much of the river is invited in. Everything that happens further down,
every orchard and every argument, begins with how far that leaf is raised.

People who have never run one imagine that the work consists of opening and closing. It consists of watching. The
river rises in the night because snow went soft forty miles away, and the same opening that gave you a calm ditch at
supper gives you a torrent at dawn. A good keeper learns to read the wet line on the stone, to hear the change of pitch
when a branch has lodged under the gate, and to move the leaf by the width of a finger before anybody else has noticed
that there was a reason.

The gate does not make water and does not improve it. It takes what the river brings and hands it on in an order that
fields can live with. When it is well built you forget it, and the only sign of it is that the last garden on the line
gets its share at the hour that was promised. When it is badly built it is the only thing anyone talks about.

There is an old rule among ditch riders that you never trust a gate you cannot see the far side of. Water that has
passed is either in the ditch or it is not, and the ledger should say which. If the ledger and the ditch disagree, you
believe the ditch, you correct the ledger, and then you find out who wrote it.
"""

_LOCK = """
The lock keeper at the foot of the hill had worked the same four gates for thirty-one years, and she held that there
are only two kinds of boaters: those who look at the water and those who look at the clock. The second kind always
asked how long it would take. She always told them the truth, which is that a lock takes as long as it takes to fill.

A chamber fills quickly at first, while the difference between the two levels is great, and the boats have to be held
on their ropes against the push. Then it slows. The last hand's breadth seems to last as long as everything before it,
and it is exactly then that beginners put their shoulder to the beam. The beam does not move. A few pounds of water
leaning on a gate are stronger than any family on holiday. Wait until the levels are equal, and a child can open it.

She had seen a gate forced only once. A young man with a bar got it open by the thickness of a plank, and the canal came
through that gap like a white wall laid on its side. Nobody was hurt, but it took two days to find the boat hooks, and
the pound above was so low that the ducks were walking. She told the story each summer, not to frighten people, but
because it was the best explanation of pressure she knew.

In winter, when the boats were gone, she greased the racks and painted the numbers. Every paddle had its number, and in
the hut hung a board with hooks, and on each hook a brass tag that said whether the paddle was up or down. The board was
the lock, as far as she was concerned. You could do the whole job in fog, without seeing the water at all, as long as
nobody ever moved a paddle without moving its tag.
"""

_FLOOD = """
The flood came at twenty past three, and the first to know were the cows. They had walked up to the railway bank in the
dark, in single file, and stood there with their backs to the rain while the meadow they had left went quietly under.
By first light the river was no longer where the map had put it. It had taken the shortest way, as it does every
thirty years or so, straight through the nursery, across the road by the chapel and back into its bed below the mill.

What people remember is not the height of the water but its manners. It did not rush. It came up the lane at the pace
of a visitor who is looking for a house number, entered by the back doors, lifted the firewood and the empty bottles and
set them down again in other rooms. A piano was found on the billiard table. The parish records, which had been moved
to the attic of the vicarage in 1911 against exactly this occasion, stayed dry, and so did the sexton, who had moved in
with them.

Upstream the keepers had done what could be done. All gates stood open, because a closed gate in a flood is only
something that will break later, with more behind it. They had let the low fields fill first, the ones that lie there
for that purpose and are cheap for that reason, and so the crest that reached the town was a foot lower than it might
have been. A foot was the difference between carpets and ceilings.

Afterwards there were meetings. Somebody wanted higher walls, somebody else wanted the river to be straightened, and the
old engineer, who was asked last, said that a river is a thing that happens and not a thing that is. You can choose
where it will happen. You cannot choose that it will not.
"""

_SURVEY = """
Before there was a canal there was a woman with a level and a boy with a staff. They walked the side of the valley for
two summers, forty paces at a time, and wrote down at each halt how much the ground had fallen since the last one. The
sum had to come out at one foot in every mile. More than that and the water would tear at its banks; less, and it would
lie down and grow weeds.

The work allowed no drama. A hill was not climbed but walked around, and a stream was not forded but crossed at exactly
the height at which the canal would cross it one day, even if that meant standing to the hips in a bog for an hour while
the bubble in the glass made up its mind. Mistakes do not announce themselves in such work. They travel along with you,
adding up, and introduce themselves forty miles later at the place where two parties meet.

So every evening they closed the loop. They levelled back along another line to the stone from which they had started in
the morning, and if the stone had risen or sunk by more than the thickness of a coin, the whole day was struck out and
done again. The boy thought this cruel. He was an old man when he said in an interview that it was the only
luxury they had: to go to sleep each night on numbers that were true.

When the water was finally let in, it took nine days to reach the town. The two of them walked beside its front edge,
which carried a rim of straw and beetles before it like a tide coming up a beach. It never once ran ahead, and it
never once stopped.
"""

_FERRY = """
There used to be a ferry where the bridge is now. It had no engine and no sail, only a cable from bank to bank and a
hull that could be turned at an angle to the stream. The river itself pushed it over. Going east the ferryman set the
bow upstream, going west he set it upstream again, and the rest he left to the current, which never asked for a day off.

Tourists looked for the trick. They could see that nothing pulled and nothing rowed, and still the bank came closer.
He explained that it was like a kite lying on its side: the string holds it, the wind would carry it off, and out of the
quarrel between the two comes a movement that neither of them wanted. Some understood. The others crossed just as well.

The fare was collected in the middle of the river. There was a reason for that too. Near the bank a passenger who has
been asked for money may step off again, and near the far bank he has already got what he came for. In the middle
everybody is reasonable.

On the last day before the bridge opened he made forty-four crossings and charged for none of them. In the evening he
unhooked the cable, coiled it on the bank in loops as tall as a calf, and let the empty hull swing round on its chain.
It lay there for years, pointing upstream, as if it were only waiting for somebody to let it lean into the current
again.
"""

_MILL = """
A mill wheel is a way of asking a river to fall more slowly. The river would have dropped those nine feet anyway, over
stones, in the time it takes to say so, and would have got nothing for it but noise. The wheel makes it go down bucket
by bucket, and keeps the change.

The miller's day was governed by the pond. Overnight, with the sluice shut, it filled; in the morning there was a
certain number of hours of grinding in it, and no shouting would add a minute to that. If the farmer at the door was in
a hurry, he could have his flour quickly and coarse. If he was willing to wait, the stones could be set close, and the
wheel would turn at the pace of a man walking home, and the flour came out as fine as talk.

What he feared was not drought. In a drought you sweep the floor, dress the stones and mend the belts, and the world
understands. What he feared was an uneven stream, strong for a minute and then weak, because the stones follow the
wheel, and stones that race and stall will scorch one handful and leave the next one whole. He would give up a tenth of
his water, gladly, to have the rest of it arrive at the same speed all day long.

That is what the little basin behind the wheel house is for. It is too small to grind a single sack from. It does
nothing but stand between the river and the wheel and take the jolts out of one for the sake of the other.
"""

_DELTA = """
At its mouth a river stops being one thing. It has carried its load for a thousand miles, and now, where the land is so
flat that it can no longer tell which way is down, it begins to put the load aside. First the sand, because that is
heavy, then the silt, and at last, far out, where the water has gone still and green, the clay, which takes weeks to
settle and might have come from a mountain that nobody here has ever seen.

Every bank it builds is in its own way, so it goes around. A channel divides in two, each of these divides again, and on
the satellite pictures the whole looks like a tree that somebody has drawn from memory. The pilots who bring ships in
do not trust the pictures. The picture is from March, they say, and the bar has moved. They go by the color of the
ripples, and by the terns, which fish where it is shallow.

No one can own land in the outer delta, although many have the papers. A farm that lay on the left bank in the time of
the grandfather lies on the right bank now, without having moved. The surveyors come every ten years and are given
coffee. They are polite about the old stakes, which stand in open water with a cormorant on each.

Still, it is the best soil in the country. Everything upstream that was not held on to with both hands has ended up
here: the topsoil of six provinces, the ash of old fires, the leaves of every autumn. What the mountains lose and the
plains let go the delta keeps for a while, in the order in which it arrived, and then passes on to the sea.
"""

_LEDGER = """
The water office kept one book, and the rule about the book was that nothing in it could ever be rubbed out. If a clerk
had written that the north ditch got twelve inches when it got ten, the next line said so, with the date and the
name of whoever had noticed. The wrong line stayed where it was. Visitors took this for pride in penmanship. It was the
other way round: only a book in which mistakes remain visible can be believed when it says that there was none.

Each opening of each gate was a line, and each line had a number. A rider who had been away for a week did not ask
what had happened. He asked for the number he had seen last and read on from there. Two riders who had read to the same
number knew the same things, and there was nothing to discuss. In the dry year, when brothers were not speaking to each
other across a fence, they still spoke to each other in the book.

Nothing counted before it was written. A keeper who had raised a gate walked to the hut, wrote the line, waited for the
ink to dry, and only then rang the bell that told the lower farms to open theirs. The young ones found this slow. Then
a keeper fell from the ladder one evening with his gate half open and his line unwritten, and because the bell had not
rung, no one below had cut his bank yet. They closed the gate, carried him home, and the next morning began with the
next number, as if the river had been holding its breath.

The last volume is in the museum, open at its last page. The final entry is in a firm hand and says only that the gate
was closed, by whom, at what hour, and that all water taken had been accounted for. Below it there is a double line.
"""

PROSE: Final = tuple(_unwrap(piece) for piece in (_HEADGATE, _LOCK, _FLOOD, _SURVEY, _FERRY, _MILL, _DELTA, _LEDGER))

_UNICODE = """
Die Schleuse öffnet um fünf Uhr früh, sagt Jürgen Weiß, und schließt, wenn der letzte Kahn über die Schwelle ist.
À l'écluse de Fonserannes, l'éclusière Zoë compte neuf bassins, 21,50 mètres de dénivelé et – les jours de fête –
une forêt de mâts. El guardián de la acequia añade: «mañana habrá agua para los señores del cañaveral, ¿verdad?»
Łódź przepływa śluzę, żeby zdążyć przed świtem; în zori, apa curge încet; Þórður gætir stíflunnar við ána.

Река не спешит: она знает дорогу. Ο ποταμός δεν γυρίζει πίσω. הנהר זוכר את דרכו אל הים. والنهر يعرف طريقه إلى البحر.
नदी धीरे बहती है, पर रुकती नहीं। แม่น้ำไหลไปไม่หยุด. Sông chảy mãi không ngừng.

水門は川への最初の言葉です。朝早く、門番は石の上の濡れた線を読み、指一本の幅だけ板を上げます。
都江堰没有大坝，却灌溉了成都平原两千多年；先贤说：「深淘滩，低作堰。」
강은 서두르지 않지만 멈추지도 않는다. 수문을 여는 사람은 먼저 귀를 기울인다.

The crew of the day: 👩\u200d🔧 on the upper gate, 👨\u200d🌾 and 👨\u200d👩\u200d👧\u200d👦 on the bank, 🧑🏽\u200d🚒
with the pumps, a 🏴\u200d☠️ flag on the smallest boat 🚣🏾\u200d♀️.
Signals are flags (🇳🇱 🇯🇵 🇧🇷) and hands (👍🏻 👋🏿 ✌️); a keycap 4️⃣ marks the lock, ❤️\u200d🩹 the mended paddle,
and 🌊💧 needs no comment.

Letters may be composed (\u00e9, \u00e5, \u00f1) or decomposed (e\u0301, a\u030a, n\u0303); both are right.
Zalgo was here: w\u0337a\u0338t\u0335e\u0336r\u0334. So was mathematics: ∮ 𝐁·dℓ = μ₀I, Q ≤ ⅔·√(2g)·b·h³ᐟ²,
and a soft\u00adhyphen, a no-break\u00a0space, a line\u2028separator, a next\u0085line, a zero\u200bwidth space.
Prices: 12 €, £3, ¥400, ₹99. The end… 完。
"""

UNICODE: Final = (_unwrap(_UNICODE),)

MARKDOWN: Final = """\
# Opening a headgate

A short procedure for **new keepers**. Read it *before* the river rises, not while it does.

## Before you start

1. Walk the ditch down to the first turnout and back.
2. Clear the trash rack; leaves lie to the staff gauge.
3. Tell the riders below: `radio channel 4`, or the bell.

What you should have with you:

- gloves and a lamp
  - a spare battery for the lamp
  - no, the *other* spare battery
- the ledger
- [the table of flows](https://example.org/flows?gate=7&unit=cfs), or this copy of it:

| Opening (in) | Flow (cfs) | Sound        |
|-------------:|-----------:|:-------------|
|            1 |        2.5 | a kettle     |
|            4 |       11.0 | a busy road  |
|           12 |       34.8 | *do not ask* |

## The computation

The flow through a submerged gate follows from the difference of the levels:

```python
from math import sqrt

GRAVITY = 9.81  # m/s^2


def flow(width_m: float, opening_m: float, head_m: float, *, coefficient: float = 0.61) -> float:
    \"\"\"Discharge under a gate in cubic metres per second.\"\"\"
    if head_m <= 0:
        return 0.0
    return coefficient * width_m * opening_m * sqrt(2 * GRAVITY * head_m)


print(f"{flow(1.2, 0.1, 0.5):.3f}")  # 0.229
```

> Raise the leaf by the width of a finger. Then wait.
> The ditch needs longer than you to make up its mind.

Remember that $Q \\propto \\sqrt{h}$: *twice the head is not twice the water*.

---

Questions & corrections: write them in the ledger. <br> Nothing in it is ever rubbed out.
"""

_SETTING = """
The question seems to be about how the gate is set, so first I should settle what is known. The level upstream is
given, the level downstream is not, but it can be estimated from the width of the ditch. Let me check the units: inches
for the opening, feet for the head. If I convert both, the flow comes out at about a third of what the river offers.
That is plausible. I will answer with the procedure and mention the assumption.
"""

_READING = """
Let me think about what is being asked here. There are two readings: either the boats wait for the water or the water
waits for the boats. The second makes no sense in summer. So the chamber has to be filled first, and the order of the
gates follows from that. I should say this plainly, and keep the story short.
"""

_COUNTING = """
Start from the end: the last garden has to have its share by nine. Counting back along the ditch, with an hour for each
mile, the gate must be open before four. Is there a reason to doubt the hour per mile? Only if the weeds are high. I
could ask, but a range will do. Then the answer is: between three and four.
"""

REASONING: Final = tuple(_unwrap(piece) for piece in (_SETTING, _READING, _COUNTING))

REFUSALS: Final = (
    "I'm sorry, but I can't help with opening a gate that belongs to somebody else.",
    "I can't assist with that. Changing the ledger after the fact would hide what really happened.",
    "Sorry, I won't give instructions for forcing a lock while there is pressure on it. People get hurt that way.",
)
