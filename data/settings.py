"""Settings: defaults < secondsight.toml (working directory) < SECONDSIGHT_* environment < flags.

Nothing is read at import: call `load()` where settings are needed. Flags are passed as overrides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from data.errors import UsageError


class Settings(BaseSettings):
    """All that a person may set; every field is also SECONDSIGHT_<NAME> and a key of secondsight.toml."""

    model_config = SettingsConfigDict(
        env_prefix="SECONDSIGHT_", toml_file="secondsight.toml", extra="forbid", frozen=True
    )

    library: Path = Field(default_factory=lambda: user_data_path("secondsight", appauthor=False) / "library")
    models: str = Field(default="lite", description="profile of models")
    cache: Path = Field(default_factory=lambda: user_cache_path("secondsight", appauthor=False))
    frame_rate: float = Field(default=2.0, gt=0, le=30, description="frames sampled per second of video")
    workers: int = Field(default=0, ge=0, le=256, description="decoding processes; 0: a quarter of the cores")
    max_pixels: int = Field(default=200_000_000, ge=1_000_000, description="largest picture decoded, in pixels")
    batch_size: int = Field(default=16, ge=1, le=1024, description="pictures embedded at once")
    localise: int = Field(default=1, ge=0, le=100, description="best moments whose second is looked at again, densely")
    rerank: int = Field(default=10, ge=0, le=100, description="best moments shown to the re-ranker, where there is one")
    rerank_budget_s: float = Field(default=5.0, gt=0, le=600, description="time the re-ranker may take for a search")
    threads: int = Field(default=0, ge=0, description="model threads; 0: all cores")
    caption_language: str = Field(default="en", pattern="^(en|zh)$", description="language of captions, en or zh")
    server_chat: str = Field(
        default="", description="MODEL or MODEL@URL that describes and answers; empty: the server's"
    )
    server_embed: str = Field(default="", description="MODEL or MODEL@URL that makes vectors; empty: those of lite")
    server_rerank: str = Field(
        default="", description="MODEL or MODEL@URL of a re-ranker; empty: yes or no by the chat"
    )
    server_concurrency: int = Field(default=16, ge=1, le=256, description="requests to a model server at once")
    qwen_chat: str = Field(default="", description="id or folder that describes and answers; empty: by the profile")
    qwen_embed: str = Field(default="", description="id or folder that makes vectors; empty: by the profile")
    qwen_rerank: str = Field(default="", description="id or folder that re-ranks; empty: by the profile")
    qwen_dim: int = Field(default=0, ge=0, le=8192, description="length of Qwen3-VL's vectors; 0: the model's own")
    qwen_4bit: bool = Field(default=False, description="load Qwen3-VL's weights in 4 bits: a third of the memory")
    qwen_device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu or cuda:N")
    server_timeout_s: float = Field(default=180.0, gt=0, le=3600, description="for one request with all its retries")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**overrides: Any) -> Settings:
    """Settings with the flags on top; an override of None is "not given".

    Raises:
        UsageError: a value is out of range or a key is unknown; names both.
    """
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"Setting {name} = {first.get('input')!r} is not valid: {first['msg']}.") from None
