"""The review page: server-rendered, keyboard first, behind sessions and a strict CSP."""
