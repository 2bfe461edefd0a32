"""Networks: a backbone, attention, pooling, an embedding, and heads."""

from mien.networks.backbones import create_backbone
from mien.networks.embedding import Embedding
from mien.networks.network import Network, Outputs, create_network

__all__ = ["Embedding", "Network", "Outputs", "create_backbone", "create_network"]
