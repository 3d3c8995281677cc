"""A rule that asks Microsoft Presidio for personal data (``pip install headgate[presidio]``).

The libraries are imported when the first such rule is prepared, because they take a second and 100 MB. Nothing is
ever fetched from the network: an NLP model is used if one is installed; without one, Presidio's pattern recognisers
work on a blank pipeline, and a rule that asks for what only a model can find (`PERSON`) is refused when it is loaded.
"""

from __future__ import annotations

import importlib
import threading
import time
from functools import partial
from typing import Any, Final

from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.judges.judge import SPANS_MAX, JudgeError, code, error
from headgate.judges.workers import Workers
from headgate.policies import Rule
from headgate.telemetry.logs import fields, logger

MODEL_SIZES: Final = ("trf", "lg", "md", "sm")
"""Of installed models of a language the largest is used."""
WARM_UP: Final = "nobody@example.com, 212-555-0100"
"""Reads the tables that its recognisers load at the first text, which takes half a second."""
WARM_UP_S: Final = 60.0
BUSY: Final = error("Presidio was busy")

_logger = logger("judges")


class PresidioJudge:
    """Asks an analyzer, one text after the other: the work is Python's, and threads would only take turns."""

    at_once = 1

    def __init__(self, analyzer: Analyzer, rule: Rule) -> None:
        self._analyzer = analyzer
        self._entities = list(rule.entities) or None
        self._score = rule.score
        self._workers = Workers("presidio")

    async def judge(self, text: str, timeout_s: float) -> Judgement:
        find = partial(self._analyzer.find, text, self._entities, self._score, timeout_s)
        judgement: Judgement = await self._workers.run(find)
        return judgement

    async def close(self) -> None:
        self._workers.close()


class Analyzers:
    """One analyzer per language: with a model it may take hundreds of megabytes."""

    def __init__(self) -> None:
        self._made: dict[str, Analyzer] = {}
        self._lock = threading.Lock()

    def get(self, rule: Rule) -> Analyzer:
        """The analyzer for a rule, which has to know all its entities. Slow the first time. Raises `JudgeError`."""
        with self._lock:
            analyzer = self._made.get(rule.language)
            if analyzer is None:
                analyzer = self._made[rule.language] = Analyzer(rule.language)
        unknown = sorted(set(rule.entities) - analyzer.entities)
        if unknown:
            missing = "" if analyzer.model else "; no NLP model for the language is installed"
            known = ", ".join(sorted(analyzer.entities))
            raise JudgeError("entities", f"Presidio cannot find {unknown[0]!r}{missing}; it finds: {known}")
        return analyzer


class Analyzer:
    """Presidio for one language. Its parts are not made for several threads, so they take turns."""

    def __init__(self, language: str) -> None:
        try:
            presidio = importlib.import_module("presidio_analyzer")
            spacy = importlib.import_module("spacy")
        except ImportError as fault:
            raise JudgeError(
                "detector", f"needs Presidio, which is not installed: pip install 'headgate[presidio]' ({fault})"
            ) from fault
        self._language = language
        self._lock = threading.Lock()
        self.model = _installed_model(spacy, language)
        try:
            engine = _engine(presidio, spacy, language, self.model)
        except Exception as fault:  # spaCy has no root of its exceptions
            raise JudgeError("language", f"spaCy cannot be used for {language!r} ({type(fault).__name__})") from fault
        registry = presidio.RecognizerRegistry(supported_languages=[language])
        registry.load_predefined_recognizers(languages=[language], nlp_engine=engine)
        registry.recognizers = _offline(registry.recognizers, with_model=bool(self.model))
        if not registry.recognizers:
            raise JudgeError("language", f"Presidio has nothing for the language {language!r}")
        self._engine = presidio.AnalyzerEngine(
            registry=registry, nlp_engine=engine, supported_languages=[language], default_score_threshold=0
        )
        self.entities: set[str] = set(self._engine.get_supported_entities(language))
        self.find(WARM_UP, None, 1, WARM_UP_S)
        _logger.info("presidio is ready", extra=fields(language=language, model=self.model or "none"))

    def find(self, text: str, entities: list[str] | None, score: float, timeout_s: float) -> Judgement:
        until = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            return BUSY
        try:
            if time.monotonic() > until:
                return BUSY
            found = self._engine.analyze(text, self._language, entities=entities, score_threshold=score)
        finally:
            self._lock.release()
        if len(found) > SPANS_MAX:
            return Judgement(Outcome.FAIL, detail="more than is counted")
        spans = sorted(Span(item.start, item.end, code(item.entity_type, text)) for item in found)
        return Judgement(Outcome.FAIL if spans else Outcome.PASS, tuple(spans))


def _installed_model(spacy: Any, language: str) -> str:
    """The name of a pipeline package of this language, or nothing."""
    installed = [name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_core_")]
    ranked = [name for size in MODEL_SIZES for name in sorted(installed) if name.endswith(f"_{size}")]
    return ranked[0] if ranked else ""


def _engine(presidio: Any, spacy: Any, language: str, model: str) -> Any:
    """An NLP engine that loads nothing but what is here. Presidio's own would download a model."""
    nlp_engine = importlib.import_module("presidio_analyzer.nlp_engine")

    class InstalledModel(nlp_engine.SpacyNlpEngine):  # type: ignore[misc, name-defined]  # known at run time only
        def load(self) -> None:
            self.nlp = {language: spacy.load(model) if model else spacy.blank(language)}

        def _doc_to_nlp_artifact(self, doc: Any, language: str) -> Any:
            if model:
                return super()._doc_to_nlp_artifact(doc, language)
            # a blank pipeline knows no lemmas: words as they stand tell Presidio what is near a number
            words = [token.lower_ for token in doc]
            return nlp_engine.NlpArtifacts([], doc, [token.idx for token in doc], words, self, language, [])

    engine = InstalledModel(models=[{"lang_code": language, "model_name": model or "blank"}])
    engine.load()
    return engine


def _offline(recognizers: list[Any], *, with_model: bool) -> list[Any]:
    """Without the one that needs a model, if there is none, and with an e-mail recogniser that asks no network.

    Presidio's asks `tldextract` whether a domain exists, which would download the list of public suffixes.
    """
    predefined = importlib.import_module("presidio_analyzer.predefined_recognizers")
    tldextract = importlib.import_module("tldextract")
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(predefined.EmailRecognizer):  # type: ignore[misc, name-defined]  # known at run time only
        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes(pattern_text).fqdn)

    kept = []
    for recognizer in recognizers:
        if isinstance(recognizer, predefined.SpacyRecognizer) and not with_model:
            continue
        if isinstance(recognizer, predefined.EmailRecognizer):
            recognizer = Email(context=recognizer.context, supported_language=recognizer.supported_language)
        kept.append(recognizer)
    return kept
