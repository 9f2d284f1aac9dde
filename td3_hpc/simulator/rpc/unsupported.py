"""Functions of CARLA's protocol that this simulator does not have: a caller is told so."""

VALUES: dict[str, str] = {
    **dict.fromkeys(
        ("start_recorder", "show_recorder_file_info", "show_recorder_collisions", "show_recorder_actors_blocked",
         "replay_file"),
        "recorder",
    ),
    **dict.fromkeys(("get_bones_transform", "get_vehicle_bone_world_transforms"), "skeletons"),
    **dict.fromkeys(
        ("get_actor_component_world_transform", "get_actor_component_relative_transform",
         "get_actor_bone_world_transforms", "get_actor_bone_relative_transforms", "get_actor_socket_world_transforms",
         "get_actor_socket_relative_transforms"),
        "components, bones or sockets",
    ),
    "get_gbuffer_token": "G-buffers",
    "request_file": "files to download",
}  # fmt: skip
"""Name of a function that returns something -> what is missing."""

VOIDS: dict[str, str] = {
    **dict.fromkeys(
        ("stop_recorder", "stop_replayer", "set_replayer_time_factor", "set_replayer_ignore_hero",
         "set_replayer_ignore_spectator"),
        "recorder",
    ),
    **dict.fromkeys(("set_bones_transform", "blend_pose", "get_pose_from_animation"), "skeletons"),
    **dict.fromkeys(("enable_carsim", "use_carsim_road", "enable_chrono_physics"), "other vehicle physics"),
    **dict.fromkeys(("enable_sensor_for_ros", "disable_sensor_for_ros"), "ROS 2 bridge"),
    **dict.fromkeys(("apply_color_texture_to_objects", "apply_float_color_texture_to_objects"), "textures to change"),
    **dict.fromkeys(("open_vehicle_door", "close_vehicle_door"), "vehicles with doors that open"),
    "enable_gbuffers": "G-buffers",
    "send": "V2X sensors",
}  # fmt: skip
"""The same for functions that return nothing."""
