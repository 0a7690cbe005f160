"""Peer (c): Powertools, Pydantic and pydynox."""

from benchmarks.peers.powertools_app import PowertoolsApplication
from benchmarks.peers.pydynox_store import PydynoxStore

handler = PowertoolsApplication(PydynoxStore()).handler
