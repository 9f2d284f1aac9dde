"""Which devices the Vulkan loader offers: asked of the loader itself, so that no tool need be in the image."""

import ctypes
from ctypes import POINTER, byref, c_char, c_char_p, c_int32, c_uint32, c_void_p

from td3_hpc.launch.doctor.context import Context
from td3_hpc.launch.doctor.result import Vulkan

_APPLICATION_INFO, _INSTANCE_CREATE_INFO = 0, 1  # VkStructureType
_VULKAN_1_0 = 1 << 22
_NO_DRIVER = -9  # VK_ERROR_INCOMPATIBLE_DRIVER
_CPU = 4  # VkPhysicalDeviceType: anything else is hardware, or a virtual machine's view of it
_NAME_AT, _NAME_LENGTH = 20, 256  # in VkPhysicalDeviceProperties, after five 32-bit numbers
_TYPE_AT = 16
_PROPERTIES_SIZE = 4096  # the structure has 824 bytes


class _ApplicationInfo(ctypes.Structure):
    _fields_ = [
        ("type", c_int32),
        ("next", c_void_p),
        ("name", c_char_p),
        ("version", c_uint32),
        ("engine_name", c_char_p),
        ("engine_version", c_uint32),
        ("api_version", c_uint32),
    ]


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = [
        ("type", c_int32),
        ("next", c_void_p),
        ("flags", c_uint32),
        ("application", POINTER(_ApplicationInfo)),
        ("layer_count", c_uint32),
        ("layers", c_void_p),
        ("extension_count", c_uint32),
        ("extensions", c_void_p),
    ]


def measure_vulkan(context: Context) -> Vulkan:
    """Real and software devices, or why there is none."""
    try:
        loader = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return Vulkan(reason="no Vulkan loader (libvulkan.so.1) in the job")
    instance = c_void_p()
    application = _ApplicationInfo(type=_APPLICATION_INFO, api_version=_VULKAN_1_0)
    wanted = _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO, application=ctypes.pointer(application))
    failure = loader.vkCreateInstance(byref(wanted), None, byref(instance))
    if failure:
        why = "no ICD file names one that loads" if failure == _NO_DRIVER else f"vkCreateInstance gives {failure}"
        return Vulkan(reason=f"no Vulkan driver: {why}")
    try:
        return _devices(loader, instance)
    finally:
        loader.vkDestroyInstance(instance, None)


def _devices(loader: ctypes.CDLL, instance: c_void_p) -> Vulkan:
    count = c_uint32()
    loader.vkEnumeratePhysicalDevices(instance, byref(count), None)
    handles = (c_void_p * count.value)()
    loader.vkEnumeratePhysicalDevices(instance, byref(count), handles)
    real: list[str] = []
    software: list[str] = []
    for handle in handles[: count.value]:
        properties = (c_char * _PROPERTIES_SIZE)()
        loader.vkGetPhysicalDeviceProperties(c_void_p(handle), properties)
        name = properties.raw[_NAME_AT : _NAME_AT + _NAME_LENGTH].split(b"\0")[0].decode(errors="replace")
        kind = int.from_bytes(properties.raw[_TYPE_AT : _TYPE_AT + 4], "little")
        (software if kind == _CPU else real).append(name)
    return Vulkan(devices=real, software=software, reason="" if real or software else "the driver offers no device")
