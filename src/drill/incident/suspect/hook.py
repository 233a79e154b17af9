

from vendor.metrics import observe  # noqa: E402

handler = observe(handler)
