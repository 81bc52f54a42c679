"""The demo shop: seeded landing files with all the mess a real shop's files have. `generate` is the way in.

A day is made at a time, by column, and every choice is a hash of (seed, purpose, person, day): nothing is
remembered but lines that arrive later, so memory stays at about one day and any machine writes the same bytes.
"""

from assets.demo_shop.generate import ShopFiles, generate

__all__ = ["ShopFiles", "generate"]
