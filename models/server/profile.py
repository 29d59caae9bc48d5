"""How the server profile registers itself: "server:http://host:port/v1"."""

from __future__ import annotations

from dataclasses import replace

from data.errors import UsageError
from data.settings import Settings
from models.base import ModelSet
from models.registry import Profile


def load(settings: Settings, variant: str) -> ModelSet:
    """Nothing is asked of the server before it is needed.

    Args:
        variant: base URL of the server, for whatever has no URL of its own in the settings.
    """
    from models.lite.profile import load as load_lite
    from models.qwen3vl.chat import ChatAnswerer, ChatCaptioner, ChatGrounder
    from models.server.address import checked_url, model_and_url, remember
    from models.server.chat import ServerChat, ServerWriter
    from models.server.client import Client
    from models.server.reranker import ServerReranker

    if not variant:
        raise UsageError(
            "The profile 'server' has no address.", remedy="Write it like server:http://localhost:8000/v1."
        )
    base_url = checked_url(variant)
    remember(base_url, settings.cache)
    clients: dict[str, Client] = {}

    def client(url: str) -> Client:
        if url not in clients:
            clients[url] = Client(url, budget_s=settings.server_timeout_s, concurrency=settings.server_concurrency)
        return clients[url]

    chat_model, chat_url = model_and_url(settings.server_chat, base_url)
    chat = ServerChat(client(chat_url), chat_model)
    rerank_model, rerank_url = model_and_url(settings.server_rerank, base_url)
    # Speech and on-screen text are read here, by lite's parts. So are vectors made, unless the server makes them: most
    # servers hold one model, the one that talks, and a library made with lite can then be asked through a server.
    here = load_lite(settings, "")
    if settings.server_embed:
        from models.server.embedder import ServerEmbedder

        embed_model, embed_url = model_and_url(settings.server_embed, base_url)
        joint = ServerEmbedder(client(embed_url), embed_model)
        here = replace(here, joint=joint, picture_side=512, tagger=None)
    return replace(
        here,
        profile=f"server:{base_url}",
        captioner=ChatCaptioner(chat),
        reranker=ServerReranker(client(rerank_url if rerank_model else chat_url), rerank_model, chat),
        grounder=ChatGrounder(chat),
        answerer=ChatAnswerer(chat),
        writer=ServerWriter(chat),
    )


PROFILE = Profile(
    name="server",
    description="a model server that speaks the OpenAI API (vLLM, SGLang, llama.cpp, Ollama): server:http://HOST:PORT/v1",
    load=load,
    extra="server",
    licences=("those of the models that are served",),
    requires=("httpx",),
)
