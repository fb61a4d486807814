class AppConfig:
    name: str

    def ready(self) -> None: ...
