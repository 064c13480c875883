"""Content digests: one canonical form for records, one digest for everything."""

from npudsl.keys.canonical import Json, canonical_bytes, digest_bytes, digest_record

__all__ = ["Json", "canonical_bytes", "digest_bytes", "digest_record"]
