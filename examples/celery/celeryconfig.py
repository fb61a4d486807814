"""A broker in a folder, so that the example needs neither Redis nor RabbitMQ."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "broker"
FOLDER.mkdir(exist_ok=True)

broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": str(FOLDER),
    "data_folder_out": str(FOLDER),
    "control_folder": str(FOLDER),
}
task_ignore_result = True
