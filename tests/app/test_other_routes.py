"""Model, health, metrics, the description, and the paths of the first app."""

import pytest
from serve_kit import COMMIT, DATA_HASH, IMAGE


def test_the_model_tells_all_about_itself(server):
    found = server.get("/model").json()
    assert (found["tag"], found["revision"], found["hub_commit"]) == ("v1.0.0", "v1.0.0", None)
    assert (found["commit"], found["data_hash"], found["image"]) == (COMMIT, DATA_HASH, IMAGE)
    assert found["properties"] == {"Glass_Transition": "°C", "Density": "g/cm³"}
    assert found["takes_pm"] is False
    assert found["record"]["data"] == {"hash": DATA_HASH}
    assert found["record"]["started"].startswith("2026-01-31")
    assert found["release"]["tag"] == "v1.0.0"


def test_health_tells_live_and_ready_apart(server, served_registry):
    assert server.get("/health/live").json() == {"live": True}
    found = server.get("/health/ready")
    assert found.status_code == 200
    assert found.json() == server.health()
    health = found.json()
    assert (health["status"], health["ready"], health["reason"]) == ("ready", True, None)
    assert (health["requested"], health["warnings"]) == (str(served_registry), [])
    assert (health["self_test"], health["workers"]) == (4, 2)
    assert health["model"]["tag"] == "v1.0.0"


def test_prometheus_can_read_the_metrics(server):
    from prometheus_client.parser import text_string_to_metric_families

    server.get("/no-such-address")
    server.client.request("BREW", server.url + "/model")
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    labels = families["polyid_model"].samples[0].labels
    assert (labels["tag"], labels["revision"]) == ("v1.0.0", "v1.0.0")
    routes = {s.labels["route"] for s in families["polyid_requests"].samples}
    assert "none" in routes
    assert "/no-such-address" not in routes
    methods = {s.labels["method"] for s in families["polyid_requests"].samples}
    assert "other" in methods
    assert families["polyid_ready"].samples[0].value == 1
    assert families["process_resident_memory_bytes"].samples[0].value > 0


def test_the_description_names_every_route(server):
    found = server.get("/openapi.json").json()
    assert set(found["paths"]) == {
        *("/predict", "/predict/batch", "/model", "/health", "/health/live", "/health/ready"),
        *("/metrics", "/problems/{code}", "/run/predict", "/batch_predict"),
    }
    assert set(found["paths"]["/predict/batch"]["post"]["requestBody"]["content"]) == {
        *("application/json", "text/csv", "multipart/form-data")
    }
    assert server.get("/docs").status_code == 200


@pytest.mark.parametrize("body", [{"smiles": "C=CC"}, {"data": ["C=CC", None]}])
def test_the_first_apps_single_prediction(server, body):
    answer = server.post("/run/predict", json=body)
    assert answer.status_code == 200
    found = answer.json()
    whole = server.predict("C=CC")
    assert found["prediction"] == whole
    tg = whole["properties"]["Glass_Transition"]["value"]
    density = whole["properties"]["Density"]["value"]
    assert found["properties"] == {"glass_transition_temp": tg, "density": density}
    assert found["polymer_id"].startswith("POLY-")
    assert found["polymer_id"] == server.post("/run/predict", json=body).json()["polymer_id"]
    assert {"smiles", "timestamp", "processing_time_seconds"} <= set(found)


@pytest.mark.parametrize("body", [{}, {"data": [5]}, {"smiles": "*CC("}, {"data": []}])
def test_the_first_apps_errors_are_problems_with_its_words(server, body):
    answer = server.post("/run/predict", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["pointer"].startswith("#/")
    if body != {"data": []}:
        assert problem["error"] == problem["detail"]
        assert problem["error_code"] in ("MISSING_SMILES", "INVALID_SMILES")


def test_the_first_apps_batch(server):
    answer = server.post("/batch_predict", json={"smiles_list": ["C=CC", "*CC(", ""]})
    assert answer.status_code == 207
    found = answer.json()
    assert [("error" in row) for row in found["results"]] == [False, True, True]
    summary = found["summary"]
    assert (summary["total"], summary["successful"], summary["failed"]) == (3, 1, 2)
    good = server.post("/batch_predict", json={"smiles_list": ["C=CC"]})
    assert (good.status_code, good.json()["summary"]["failed"]) == (200, 0)
    assert server.post("/batch_predict", json={"smiles_list": []}).status_code == 422
    many = server.post("/batch_predict", json={"smiles_list": ["C=CC"] * 101})
    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "#/smiles_list")
