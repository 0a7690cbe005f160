"""Peer (b): Powertools, Pydantic and boto3."""

from benchmarks.peers.boto3_catalogue import Boto3Catalogue
from benchmarks.peers.powertools_app import PowertoolsApplication

handler = PowertoolsApplication(Boto3Catalogue()).handler
