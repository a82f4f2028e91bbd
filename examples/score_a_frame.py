"""Score a file of transactions with pandas, and explain the riskiest.

python examples/score_a_frame.py models events.parquet
"""

import sys

import pandas as pd

import streamscore

RISKIEST = 5  # events that are printed


def main(store: str, file: str) -> pd.DataFrame:
    """Print how many events got which decision, and the riskiest ones with their reasons. Return all of them."""
    model = streamscore.load_model(store, "transaction")
    events = pd.read_parquet(file)
    scored = events[["event_id", "amount"]].join(model.score(events, reasons=True))
    print(f"{model.version} on {model.device}")
    print(scored.decision.value_counts(dropna=False).to_string())
    for row in scored.nlargest(RISKIEST, "risk").to_dict("records"):
        why = "; ".join(reason["text"] for reason in row["reasons"])
        print(f"{row['event_id']}: {row['risk']:.3f} {row['decision']}: {why or 'nothing stands out'}")
    for error, count in scored.error.value_counts().items():
        print(f"{count} rows are no events: {error}")
    return scored


if __name__ == "__main__":
    main(*sys.argv[1:])
