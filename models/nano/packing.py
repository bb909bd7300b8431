"""Training rows: cases after one another, with a loss weight for every token."""
from prompts import END_OF_TEXT, END_OF_TURN

FRAME_WEIGHT, HARD_WEIGHT = 0.02, 5.0       # of prompts and queries; of the tokens where a function begins and ends


def pack(rng, maker, length):
    """One row of exactly length + 1 ids with a loss weight for each: cases after one another."""
    prompts, ids, weights = maker.prompts, [], []
    while len(ids) < length - 200:
        left = max(450, length - len(ids))
        case = maker.case(rng, left if rng.random() < 0.7 else rng.randint(450, left))
        ids += case.system + case.context
        weights += [FRAME_WEIGHT] * len(case.system) + [case.text_weight] * len(case.context)
        switch = rng.choice(prompts.next_turns)
        for i, turn in enumerate(case.turns):
            query = (switch if i else []) + turn.query
            ids += query + turn.answer + [END_OF_TURN]
            weights += [FRAME_WEIGHT] * len(query)
            weights += [HARD_WEIGHT if i in turn.hard else turn.weight for i in range(len(turn.answer))]
            weights.append(turn.weight if turn.ends else 0.0)
        ids.append(END_OF_TEXT)
        weights.append(0.0)
    missing = max(0, length + 1 - len(ids))
    return (ids + [END_OF_TEXT] * missing)[:length + 1], (weights + [0.0] * missing)[:length + 1]
