"""A rule that asks an endpoint of OpenAI's moderation shape: ``POST {"input", "model"}`` -> ``results[0]``.

https://platform.openai.com/docs/api-reference/moderations. Anything but status 200 and one result of that shape is no
verdict.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

from headgate import fetch
from headgate.errors import ConfigError, Failure
from headgate.governance.judgement import Judgement, Outcome
from headgate.judges.judge import JudgeError, code, error
from headgate.policies import Rule
from headgate.request import UpstreamRequest
from headgate.upstream import Pool, endpoint

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""A usual one has 2 kB."""


class _Result(msgspec.Struct):
    """What counts of a result."""

    flagged: bool
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


_decoder: Final = msgspec.json.Decoder(_Answer)


class ModerationJudge:
    """Asks one endpoint. Raises `JudgeError`."""

    def __init__(self, rule: Rule) -> None:
        self.at_once = rule.concurrency
        self._model = rule.model
        self._thresholds = dict(rule.categories)
        assert rule.url is not None
        url = urlsplit(rule.url)
        headers = {}
        if rule.api_key is not None:
            headers["authorization"] = f"Bearer {rule.api_key.get_secret_value()}"
        try:
            bare = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
            self._pool = Pool(endpoint(bare, headers, query=dict(parse_qsl(url.query))))
        except (ConfigError, ValueError) as fault:
            raise JudgeError("url", f"cannot be used: {fault}") from fault

    async def judge(self, text: str, timeout_s: float) -> Judgement:
        body = {"input": text} if self._model is None else {"input": text, "model": self._model}
        request = UpstreamRequest("", msgspec.json.encode(body), False)
        answer = await fetch.post(self._pool, request, timeout_s=timeout_s, bytes_max=ANSWER_BYTES_MAX)
        if isinstance(answer, Failure):
            return error(f"the endpoint did not answer ({answer.code})")
        return self.read(answer, text)

    async def close(self) -> None:
        await self._pool.close()

    def read(self, answer: fetch.Fetched, text: str) -> Judgement:
        """The verdict that an answer means."""
        if answer.status != 200:
            return error(f"the endpoint answered with status {answer.status}")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return error("the endpoint did not answer with JSON")
        try:
            results = _decoder.decode(answer.body).results
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return error("the endpoint's answer is not of the moderation shape")
        if len(results) != 1:
            return error("the endpoint did not answer with one result")
        return self._judged(results[0], text)

    def _judged(self, result: _Result, text: str) -> Judgement:
        if not self._thresholds:
            named = [name for name, flagged in result.categories.items() if flagged]
            return _verdict(result.flagged, named, text)
        over = []
        for name, threshold in self._thresholds.items():
            score = result.category_scores.get(name)
            if score is None:
                return error("the endpoint gave no score for a category that the rule names")
            if score >= threshold:
                over.append(name)
        return _verdict(bool(over), over, text)


def _verdict(fails: bool, categories: list[str], text: str) -> Judgement:
    if not fails:
        return Judgement(Outcome.PASS)
    return Judgement(Outcome.FAIL, detail=", ".join(name for name in sorted(categories)[:16] if code(name, text)))
