# What Debian's cloud-init finds in a seed: cloud-init.py MODULES FOLDER, where the folder has the seed's files. Prints JSON.
import json
import os
import sys
import tempfile

modules, folder = sys.argv[1:]
sys.path.insert(0, modules)
from cloudinit import helpers
from cloudinit.net import network_state, networkd
from cloudinit.sources.DataSourceNoCloud import DataSourceNoCloud


class Distro:
    name = "debian"
    networking = None

    def get_primary_arch(self):
        return "x86_64"


work = tempfile.mkdtemp()
os.makedirs(f"{work}/seed")
os.symlink(folder, f"{work}/seed/nocloud")
# Without a label it looks at no block device of this machine.
config = {"datasource": {"NoCloud": {"fs_label": None}}}
source = DataSourceNoCloud(config, Distro(), helpers.Paths({"cloud_dir": work, "run_dir": work}))
found = source._get_data()
renderer = networkd.Renderer({})
state = network_state.parse_net_config_data(source.network_config, renderer=renderer)
renderer.render_network_state(state, target=f"{work}/root")
units = f"{work}/root/etc/systemd/network"
print(
    json.dumps(
        {
            "found": found,
            "instance": source.get_instance_id(),
            "hostname": source.get_hostname(fqdn=True).hostname,
            "keys": source.get_public_ssh_keys(),
            "userData": bytes(source.userdata_raw).decode(),
            "networks": {name: open(f"{units}/{name}").read() for name in sorted(os.listdir(units))},
        }
    )
)
