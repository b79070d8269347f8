"""A fraud desk of other make: the example of docs/fraud-signals.md, as it stands there.

Takes the signals in a file, one JSON object a line with the secret, headers and body
that arrived, and prints for each what the example says: the signal's type, "known"
when it came before, "refused" when it does not verify.
"""

import json
import sys
import time
from pathlib import Path

from standardwebhooks.webhooks import WebhookVerificationError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "fraud-signals.md"


def example():
    """The class that the document shows."""
    _, rest = DOCUMENT.read_text(encoding="utf-8").split("```python\n", 1)
    code, _ = rest.split("```", 1)
    names = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    return names["FraudDesk"]


def main(path):
    desks = {}
    fraud_desk = example()
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines()):
        arrived = json.loads(line)
        desk = desks.setdefault(arrived["secret"], fraud_desk(arrived["secret"]))
        try:
            signal = desk.take(arrived["headers"], arrived["body"], time.time() + number)
        except WebhookVerificationError:
            print("refused")
        else:
            print(signal["type"] if signal else "known")


main(sys.argv[1])
