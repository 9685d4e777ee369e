# SPDX-License-Identifier: Apache-2.0
"""Attacks: ways to get credentials unseen, or as somebody else. A package, so that its files may be named as others are."""
