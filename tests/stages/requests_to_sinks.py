"""Request templates and scopes for the tests of rendering, as short as they can be."""

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.stages.render import RequestTemplate


def template(text, url="https://sink.test/in"):
    document = Document("sink.yaml", f'url: "{url}"\n{text}\n'.encode() if "url:" not in text else text.encode())
    read = decode(document, RequestTemplate)
    assert read is not None, [str(problem) for problem in document.problems]
    return read


def scope(**event):
    event = {"id": "e1", "action": "trigger", "severity": "error", "summary": "it is down"} | event
    return {
        "event": event,
        "incident": {},
        "memory": {},
        "vars": {"url": "https://v.test/base", "path": "p/q"},
        "secrets": {},
        "tables": {},
    }
