"""A typed reader of Jaeger."""

from ktrace.jaeger.api import JaegerError
from ktrace.jaeger.client import Jaeger
from ktrace.jaeger.model import Span, Trace
from ktrace.jaeger.origin import MixedStacksError, Origin
from ktrace.jaeger.reader import Reader

__all__ = ["Jaeger", "JaegerError", "MixedStacksError", "Origin", "Reader", "Span", "Trace"]
