"""A gRPC client of other make: runs stories against a running gateway.

Makes its stubs from proto/ into a temporary folder, so that nothing of the
gateway's own code takes part. Prints one JSON object for each check and exits
with 1 at the first that fails. It never sleeps: the streams wait.

Environment:
  GATEWAY_ADDRESS        host:port
  GATEWAY_API_KEY        a client that may use points of sale
  GATEWAY_OTHER_API_KEY  a client of another tenant
  GATEWAY_CA_FILE        PEM of the CA; without it the connection is in the clear
  APPROVING_NUMBER       a person who approves by themselves
  SILENT_NUMBER          a person who does not react
"""

import json
import os
import sys
import tempfile
import uuid
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
SERVICE = "ciba_gateway/v1/login_service.proto"
CALL_SECONDS = 20
LOGIN_SECONDS = 60


def make_stubs(folder):
    """The message classes and the client class, made from the API definition."""
    well_known = files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, SERVICE]) != 0:
        raise RuntimeError("the API definition does not compile")
    sys.path.insert(0, str(folder))
    from ciba_gateway.v1 import login_service_pb2, login_service_pb2_grpc

    return login_service_pb2, login_service_pb2_grpc


class Failure(Exception):
    """A check that did not hold."""


def expect(holds, what):
    if not holds:
        raise Failure(what)


class Gateway:
    """One client's view of the gateway. Calls are those of the API, by name."""

    def __init__(self, api, stub, key):
        self.api = api
        self.stub = stub
        self.metadata = [("authorization", f"Bearer {key}")] if key else []

    def call(self, name, **fields):
        request = getattr(self.api, f"{name}Request")(**fields)
        return getattr(self.stub, name)(request, metadata=self.metadata, timeout=CALL_SECONDS)

    def start(self, number, **changes):
        """Starts a login at a till, with `changes` to the request."""
        fields = {
            "request_id": str(uuid.uuid4()),
            "phone_number": number,
            "channel": self.api.CHANNEL_POINT_OF_SALE,
            "terminal_id": "till-1",
            "claims": [self.api.CLAIM_NAME, self.api.CLAIM_PHONE_NUMBER],
        }
        return self.call("StartLogin", **{**fields, **changes}).login

    def watch(self, login_id):
        """Every state of a login, until the stream ends."""
        request = self.api.WatchLoginRequest(login_id=login_id)
        stream = self.stub.WatchLogin(request, metadata=self.metadata, timeout=LOGIN_SECONDS)
        return [message.login for message in stream if message.HasField("login")]


def refusal(code, reason, call):
    """Runs `call`, which must be refused so, and returns the details by type."""
    try:
        call()
    except grpc.RpcError as error:
        expect(error.code() == code, f"expected {code.name}, got {error.code().name}: {error.details()}")
        status = rpc_status.from_call(error)
        expect(status is not None, "no google.rpc.Status in grpc-status-details-bin")
        details = {}
        for packed in status.details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
                message = kind()
                if packed.Unpack(message):
                    details[kind.DESCRIPTOR.name] = message
        info = details.get("ErrorInfo")
        expect(info is not None, "no ErrorInfo")
        expect((info.domain, info.reason) == ("ciba-gateway", reason), f"ErrorInfo is {info.domain} {info.reason}")
        return details
    raise Failure(f"expected {code.name}, got OK")


def approved_login_is_watched_to_its_end(world):
    api, gateway = world.api, world.gateway
    started = gateway.start(world.approving_number)
    seen = gateway.watch(started.login_id)
    expect(seen, "the stream ended without a state")
    last = seen[-1]
    expect(last.state == api.LOGIN_STATE_ENDED, f"ended in {api.LoginState.Name(last.state)}")
    expect(last.outcome == api.OUTCOME_APPROVED, f"ended {api.Outcome.Name(last.outcome)}")
    expect(last.identity.sub != "", "no subject identifier")
    expect(last.identity.name != "", "no name")
    expect(last.identity.phone_number.startswith("+"), "no phone number")
    return {"states": [api.LoginState.Name(login.state) for login in seen]}


def cancelled_login_stays_cancelled(world):
    api, gateway, login_id = world.api, world.gateway, world.silent_login_id
    cancelled = gateway.call("CancelLogin", login_id=login_id).login
    expect(cancelled.outcome == api.OUTCOME_CANCELLED, f"ended {api.Outcome.Name(cancelled.outcome)}")
    read = gateway.call("GetLogin", login_id=login_id).login
    expect(read.outcome == api.OUTCOME_CANCELLED, f"reads {api.Outcome.Name(read.outcome)}")
    expect(not read.HasField("identity"), "a cancelled login shows an identity")
    return {}


def bad_fields_are_named(world):
    gateway = world.gateway
    details = refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        lambda: gateway.start("12", request_id="", terminal_id=""),
    )
    expect("BadRequest" in details, "no BadRequest")
    fields = sorted({violation.field for violation in details["BadRequest"].field_violations})
    wanted = {"request_id", "phone_number", "terminal_id"}
    expect(wanted <= set(fields), f"BadRequest names {fields}")
    return {"fields": fields}


def call_without_key_is_refused(world):
    stranger = Gateway(world.api, world.gateway.stub, key=None)
    refusal(
        grpc.StatusCode.UNAUTHENTICATED,
        "CREDENTIAL_MISSING",
        lambda: stranger.start(world.silent_number),
    )
    return {}


def call_with_wrong_key_is_refused(world):
    middle = len(world.key) // 2
    other_letter = "a" if world.key[middle] != "a" else "b"
    wrong_key = world.key[:middle] + other_letter + world.key[middle + 1 :]
    stranger = Gateway(world.api, world.gateway.stub, wrong_key)
    refusal(
        grpc.StatusCode.UNAUTHENTICATED,
        "CREDENTIAL_INVALID",
        lambda: stranger.start(world.silent_number),
    )
    return {}


def repeated_start_is_one_login(world):
    again = world.gateway.start(world.silent_number, request_id=world.silent_request_id)
    expect(again.login_id == world.silent_login_id, "two logins from one request_id")
    return {}


def login_of_another_tenant_does_not_exist(world):
    other, login_id = world.other, world.silent_login_id
    for name in ("GetLogin", "CancelLogin", "EraseLogin"):
        refusal(grpc.StatusCode.NOT_FOUND, "LOGIN_NOT_FOUND", lambda: other.call(name, login_id=login_id))
    listed = [login.login_id for login in other.call("ListLogins").logins]
    expect(login_id not in listed, "the other tenant's list shows it")
    return {}


CHECKS = [
    call_without_key_is_refused,
    call_with_wrong_key_is_refused,
    bad_fields_are_named,
    approved_login_is_watched_to_its_end,
    repeated_start_is_one_login,
    login_of_another_tenant_does_not_exist,
    cancelled_login_stays_cancelled,
]


class World:
    """Everything that the checks need."""

    def __init__(self, api, stub):
        self.api = api
        self.key = os.environ["GATEWAY_API_KEY"]
        self.gateway = Gateway(api, stub, self.key)
        self.other = Gateway(api, stub, os.environ["GATEWAY_OTHER_API_KEY"])
        self.approving_number = os.environ["APPROVING_NUMBER"]
        self.silent_number = os.environ["SILENT_NUMBER"]
        self.silent_request_id = str(uuid.uuid4())

    @cached_property
    def silent_login_id(self):
        """One login that nobody answers, for several checks: a phone must not ring often."""
        return self.gateway.start(self.silent_number, request_id=self.silent_request_id).login_id


def connect():
    address = os.environ["GATEWAY_ADDRESS"]
    ca_file = os.environ.get("GATEWAY_CA_FILE")
    if not ca_file:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(Path(ca_file).read_bytes()))


def outcome(check, world):
    try:
        return {"check": check.__name__, "ok": True, **check(world)}
    except Failure as failure:
        return {"check": check.__name__, "ok": False, "reason": str(failure)}
    except grpc.RpcError as error:
        return {"check": check.__name__, "ok": False, "reason": f"{error.code().name}: {error.details()}"}


def main():
    with tempfile.TemporaryDirectory() as folder, connect() as channel:
        api, services = make_stubs(folder)
        world = World(api, services.LoginServiceStub(channel))
        for check in CHECKS:
            result = outcome(check, world)
            print(json.dumps(result), flush=True)
            if not result["ok"]:
                sys.exit(1)


if __name__ == "__main__":
    main()
