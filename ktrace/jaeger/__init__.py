"""A typed reader of Jaeger."""

from ktrace.jaeger.client import Jaeger, JaegerError
from ktrace.jaeger.model import Span, Trace

__all__ = ["Jaeger", "JaegerError", "Span", "Trace"]
