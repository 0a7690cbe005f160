"""Peer (b): Powertools, Pydantic and boto3."""

from benchmarks.peers.boto3_store import Boto3Store
from benchmarks.peers.powertools_app import PowertoolsApplication

handler = PowertoolsApplication(Boto3Store()).handler
